"""A transform graph and raw examples of flat colours, as fixtures."""

import functools
import hashlib

import apache_beam as beam
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from drawing import COLOURS, encode, flat

from modules import features, preprocessing

CONFIG = {"image_size": 96, "preprocessing": "lite", "aspect": "resize", "interpolation": "bicubic"}


@pytest.fixture(scope="session")
def transform_output(tmp_path_factory) -> tft.TFTransformOutput:
    """The transform graph of a data set whose most frequent class is not the first of the alphabet."""
    rows = [
        {features.ENCODED: [encode(flat(name))], features.LABEL: [name.encode()]}
        for name in ("yellow", "yellow", "yellow", "magenta", "cyan", "magenta")
    ]
    spec = {name: tf.io.FixedLenFeature([1], tf.string) for name in (features.ENCODED, features.LABEL)}
    metadata = tft.DatasetMetadata.from_feature_spec(spec)
    folder = str(tmp_path_factory.mktemp("transform"))
    with tft_beam.Context(temp_dir=str(tmp_path_factory.mktemp("temp"))), beam.Pipeline("FnApiRunner") as pipeline:
        raw = (pipeline | beam.Create(rows), metadata)
        graph = raw | tft_beam.AnalyzeDataset(functools.partial(preprocessing.preprocessing_fn, custom_config=CONFIG))
        graph | tft_beam.WriteTransformFn(folder)
    return tft.TFTransformOutput(folder)


def example(name: str, seed: int | None = None, weight: float = 1.0) -> tf.train.Example:
    """A tf.Example of one flat image, with what training reads of it."""
    encoded = encode(flat(name, (40, 40), seed))
    key = hashlib.sha256(encoded).hexdigest()
    values = {features.ENCODED: encoded, features.LABEL: name.encode(), features.KEY: key.encode()}
    feature = {k: tf.train.Feature(bytes_list=tf.train.BytesList(value=[v])) for k, v in values.items()}
    feature[features.WEIGHT] = tf.train.Feature(float_list=tf.train.FloatList(value=[weight]))
    return tf.train.Example(features=tf.train.Features(feature=feature))


@pytest.fixture(scope="session")
def example_files(tmp_path_factory) -> dict[str, str]:
    """Patterns of a train and an eval split: 12 and 6 images of three colours."""
    folder = tmp_path_factory.mktemp("examples")
    for offset, (split, count) in enumerate({"train": 4, "eval": 2}.items()):
        with tf.io.TFRecordWriter(str(folder / f"{split}.gz"), "GZIP") as writer:
            for index in range(count):
                for name in COLOURS:
                    writer.write(example(name, seed=100 * offset + index).SerializeToString())
    return {split: str(folder / f"{split}*") for split in ("train", "eval")}
