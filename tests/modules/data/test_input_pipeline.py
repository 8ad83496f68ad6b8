"""Batches of images that are decoded while training goes on."""

from __future__ import annotations

import pytest
import tensorflow as tf

from modules.data import input_pipeline
from modules.training.losses import Labels

CLASSES = ["yellow", "magenta", "cyan"]


@pytest.fixture(scope="module")
def train(transform_output, example_files) -> input_pipeline.Split:
    return input_pipeline.Split([example_files["train"]], transform_output, CLASSES)


def test_the_decoders_are_no_part_of_a_datasets_graph(train):
    """TensorFlow rewrites that graph for each iterator, of which training makes several per epoch."""
    batches = input_pipeline.Batches(seed=1, size=4, labels=Labels(len(CLASSES), "softmax"), drop_remainder=False)
    graph = tf.compat.v1.GraphDef.FromString(train.training_epoch(0, batches)._as_serialized_graph().numpy())
    operations = {node.op for function in graph.library.function for node in function.node_def}
    assert operations and not operations & {"DecodeImage", "DecodeJpeg", "DecodePng", "DecodeBmp"}


def test_an_epoch_has_every_image_once_in_an_order_of_its_own_and_targets_as_the_loss_takes_them(train):
    def read(epoch: int, size: int) -> tuple[list[bytes], tf.Tensor]:
        batches = input_pipeline.Batches(
            seed=1, size=size, labels=Labels(len(CLASSES), "softmax"), drop_remainder=False
        )
        read = list(train.training_epoch(epoch, batches))
        assert len(read) == batches.steps(train.images)
        assert all(len(images) == size for images, _ in read[:-1])
        images = tf.concat([images for images, _ in read], axis=0)
        return [image.numpy().tobytes() for image in images], tf.concat([target for _, target in read], axis=0)

    first, targets = read(0, 4)
    assert len(first) == train.images and targets.shape == (train.images, len(CLASSES))
    assert first == read(0, 5)[0] != read(1, 4)[0]
    assert sorted(first) == sorted(read(1, 4)[0])
    assert tf.reduce_sum(targets, axis=0).numpy().tolist() == train.counts
