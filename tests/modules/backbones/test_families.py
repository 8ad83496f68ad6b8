"""One backbone of every family, from preprocessing to the served signature."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from drawing import COLOURS, encode, flat
from examples import write_transform_graph

from config.backbone import ImageInput
from config.backbone_table import BACKBONES, BackboneRow
from config.head import HeadConfig
from config.training import LossConfig
from modules import classifier, heads
from modules.backbones import builders, freezing
from modules.data import features
from modules.serving import signatures
from modules.training import losses

pytestmark = pytest.mark.slow

SIZE = 80
CLASSES = sorted(COLOURS)
SMALLEST: dict[str, BackboneRow] = {}
for candidate in BACKBONES.values():
    SMALLEST.setdefault(candidate.family, candidate)


@pytest.fixture(scope="module")
def transform_graph(tmp_path_factory):
    """Makes the transform graph of a kind of preprocessing, once each."""

    @functools.cache
    def make(kind: str, interpolation: str) -> tft.TFTransformOutput:
        image_input = ImageInput(image_size=SIZE, preprocessing=kind, aspect="crop", interpolation=interpolation)
        return write_transform_graph(tmp_path_factory.mktemp("transform"), image_input, CLASSES)

    return make


def fill_moving_averages(backbone: keras.Model, batch: tf.Tensor) -> None:
    """Random weights behind a BatchNorm without statistics let nothing through, and no gradient back."""
    normalizations = [layer for layer in backbone.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in normalizations:
        layer.momentum = 0.0
    backbone(batch, training=True)


@pytest.mark.parametrize("family", SMALLEST)
def test_a_backbone_takes_a_step_of_each_phase_and_serves_what_it_learned(family, transform_graph, tmp_path):
    keras.utils.set_random_seed(0)
    row = SMALLEST[family]
    graph = transform_graph(row.preprocessing, row.interpolation)
    images = [encode(flat(name, (60, 90), seed), "JPEG", quality=95) for seed in (0, 1) for name in CLASSES]
    transformed = graph.transform_features_layer()({features.ENCODED: tf.constant(images)[:, tf.newaxis]})
    batch = transformed[features.TRANSFORMED_IMAGE]
    labels = losses.encode_labels(tf.constant([0, 1, 2] * 2, tf.int64), 3, "softmax")

    backbone = builders.build(row.name, SIZE, "none")
    fill_moving_averages(backbone, batch)
    head = heads.build(HeadConfig(kind="dense", dropout=0.0), tuple(backbone.output.shape[1:]), 3, seed=0)
    model = classifier.join(backbone, head)
    before = [w.copy() for w in backbone.get_weights()]
    freezing.freeze(backbone)
    loss = losses.make_loss("softmax", LossConfig())
    model.compile("adam", loss, run_eagerly=True)  # tracing would take longest of all
    model.fit(batch, labels, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, backbone.get_weights(), strict=True)), "phase 1"

    freezing.unfreeze_top(backbone, 0.2)
    frozen = [w.copy() for layer in backbone.layers if not layer.trainable for w in layer.get_weights()]
    model.compile(keras.optimizers.Adam(1e-1), loss, run_eagerly=True)
    model.fit(batch, labels, verbose=0)
    after = [w for layer in backbone.layers if not layer.trainable for w in layer.get_weights()]
    assert all(np.array_equal(a, b) for a, b in zip(frozen, after, strict=True)), "phase 2, below the cut"
    assert any(not np.array_equal(a, b) for a, b in zip(before, backbone.get_weights(), strict=True)), "phase 2, above"

    signatures.export(model, graph, CLASSES, str(tmp_path / "1"))
    served = tf.saved_model.load(str(tmp_path / "1")).signatures["serve_images"](images=tf.constant(images))
    np.testing.assert_allclose(served["probabilities"], model(batch, training=False), rtol=1e-4, atol=1e-6)
    keras.backend.clear_session()
