"""A transform graph and raw examples of flat colours, as fixtures."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import apache_beam as beam
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from drawing import COLOURS, encode, flat

from config.backbone import ImageInput
from modules import preprocessing
from modules.data import decoding, features, tf_example

IMAGE_INPUT = ImageInput(image_size=96, preprocessing="lite", interpolation="bicubic")


def preprocessing_of(image_input: ImageInput) -> Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]]:
    """The preprocessing function as Transform calls it."""
    custom_config = {"image_input": image_input.serialized(), "max_pixels": decoding.MAX_PIXELS}
    return functools.partial(preprocessing.preprocessing_fn, custom_config=custom_config)


def write_transform_graph(folder: Path, image_input: ImageInput, colours: Sequence[str]) -> tft.TFTransformOutput:
    """Writes the transform graph of a data set with one image of each colour named, as the stage Transform would."""
    rows = [{features.ENCODED: [encode(flat(name))], features.LABEL: [name.encode()]} for name in colours]
    spec = {name: tf.io.FixedLenFeature([1], tf.string) for name in (features.ENCODED, features.LABEL)}
    metadata = tft.DatasetMetadata.from_feature_spec(spec)
    graph = str(folder / "graph")
    with tft_beam.Context(temp_dir=str(folder / "temp")), beam.Pipeline("FnApiRunner") as pipeline:
        raw = (pipeline | beam.Create(rows), metadata)
        raw | tft_beam.AnalyzeDataset(preprocessing_of(image_input)) | tft_beam.WriteTransformFn(graph)
    return tft.TFTransformOutput(graph)


def folder_of(transform_output: tft.TFTransformOutput) -> str:
    """The folder of a transform graph, as stages are given it."""
    return transform_output.transform_savedmodel_dir.removesuffix("/transform_fn")


@pytest.fixture(scope="session")
def transform_output(tmp_path_factory) -> tft.TFTransformOutput:
    """The transform graph of a data set whose most frequent class is not the first of the alphabet."""
    frequent_last = ("yellow", "yellow", "yellow", "magenta", "cyan", "magenta")
    return write_transform_graph(tmp_path_factory.mktemp("transform"), IMAGE_INPUT, frequent_last)


def example(name: str, seed: int | None = None, weight: float = 1.0) -> tf.train.Example:
    """A tf.Example of one flat image, with what training reads of it."""
    encoded = encode(flat(name, (40, 40), seed))
    key = hashlib.sha256(encoded).hexdigest()
    values = {features.ENCODED: encoded, features.LABEL: name.encode(), features.KEY: key.encode()}
    return tf_example.make({**values, features.WEIGHT: weight})


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


def raw_examples(example_files: dict[str, str], split: str) -> list[bytes]:
    """The serialized examples of a split."""
    return list(tf.data.TFRecordDataset(tf.io.gfile.glob(example_files[split]), "GZIP").as_numpy_iterator())
