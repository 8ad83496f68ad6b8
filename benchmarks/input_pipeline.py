"""How fast Trainer's input is made, without any training: `python -m benchmarks.input_pipeline`.

    python -m benchmarks.input_pipeline images
    python -m benchmarks.input_pipeline features --rows 10000 100000 1000000 --mapped

`images` reads examples of the demo's photos, as Trainer does where no activations are kept: it decodes them with the
transform graph and resizes them to the size of the default backbone. The rival is a tf.data loop over the same files
that decodes JPEGs and resizes them, two at a time, and knows no orientation, other format, or bound on the size.

`features` reads kept activations, 5×5×192 float16, in a new order each epoch. The rival is NumPy: it takes as many rows
in a random order, batch after batch, and makes them float32. With `--mapped` the activations are in a file, as in
Trainer when they exceed `trunk_features.memory_gib`. Up to 102,400 rows of each epoch are read. The system may hold the
file in memory.

Both sides take turns in one process. The table has the medians of the rounds: rows or images per second, CPU
milliseconds of one, and the rival's time divided by ours.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam

from benchmarks import harness
from config.backbone import BackboneConfig, ImageInput
from modules import preprocessing
from modules.data import decoding, features, tf_example
from modules.data.cached_features import FeatureTable
from modules.data.input_pipeline import Batches, Examples, Split
from modules.training.losses import Labels

_SHAPE = (5, 5, 192)  # of EfficientNet-Lite0 at 160 pixels, 7 layers fine-tuned
_CLASSES = 3
_MOST_READ = 102_400  # rows of an epoch, in whole batches; the order is of all rows
_WRITTEN = 10_000  # rows at a time
_BATCH = 32
_OURS, _RIVAL = "Regraft", "rival"

Sides = dict[str, Callable[[int], Iterable[Any]]]
"""Name of a side to what makes its batches of an epoch."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", choices=("images", "features"))
    parser.add_argument("--images", type=int, default=1484, help="number of photos")
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--mapped", action="store_true", help="activations in a file, not in memory")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    sys.stdout.write(f"| {options.input} | side | per second | CPU ms of one | rival's time / ours |\n")
    sys.stdout.write("|---|---|---|---|---|\n")
    with tempfile.TemporaryDirectory() as folder:
        if options.input == "images":
            _compare(options.images, _of_images(Path(folder), options.images), options.rounds)
            return
        for rows in options.rows:
            sides = _of_features(_activations(Path(folder) if options.mapped else None, rows))
            _compare(min(rows, _MOST_READ), sides, options.rounds, label=f"{rows:,}")


def _compare(count: int, sides: Sides, rounds: int, label: str = "") -> None:
    """Prints a row of each side; `count` is the number of images or rows that an epoch gives."""
    found: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
    for side in sides:
        _time(sides[side], 0, count)  # TensorFlow is slower the first time
    for number in harness.rounds(rounds):
        for side in sides:
            found[side].append(_time(sides[side], 1 + number, count))
    for side in sides:
        seconds, cpu = (statistics.median(values) for values in zip(*found[side], strict=True))
        ratio = statistics.median(
            rival / ours for (rival, _), (ours, _) in zip(found[_RIVAL], found[side], strict=True)
        )
        sys.stdout.write(
            f"| {label or f'{count:,}'} | {side} | {count / seconds:,.0f} | {1000 * cpu / count:.3g} | {ratio:.3g} |\n"
        )
    sys.stdout.flush()


def _time(batches_of: Callable[[int], Iterable[Any]], epoch: int, count: int) -> tuple[float, float]:
    """Seconds, and CPU seconds, of an epoch of `count` images or rows, with all that is prepared for it."""
    start, cpu, read = time.monotonic(), time.process_time(), 0
    for batch in batches_of(epoch):
        read += len(batch)
    assert read == count, f"{read} of {count} were read"
    return time.monotonic() - start, time.process_time() - cpu


def _batches() -> Batches:
    return Batches(seed=0, size=_BATCH, labels=Labels(_CLASSES, "softmax"), drop_remainder=False)


def _epoch(examples: Examples, epoch: int, most: int) -> Iterable[Any]:
    """The images of an epoch's batches, up to `most` images."""
    batches = examples.training_epoch(epoch, _batches()).take(-(-most // _BATCH))
    return (images for images, *_ in batches)


def _of_images(folder: Path, count: int) -> Sides:
    config = BackboneConfig()
    files = sorted(harness.photos(folder, count).rglob("*.jpg"))
    records = str(folder / "examples.gz")
    with tf.io.TFRecordWriter(records, "GZIP") as writer:
        for file in files:
            values = {features.ENCODED: file.read_bytes(), features.LABEL: file.parent.name.encode()}
            writer.write(tf_example.serialize({**values, features.KEY: file.name.encode(), features.WEIGHT: 1.0}))
    classes = sorted({file.parent.name for file in files})
    split = Split([records], _transform_graph(folder / "graph", config.image_input, classes), classes)
    return {
        _OURS: lambda epoch: _epoch(split, epoch, count),
        _RIVAL: lambda epoch: _plain_images(records, config.image_size, epoch),
    }


def _transform_graph(folder: Path, image_input: ImageInput, classes: list[str]) -> tft.TFTransformOutput:
    """Writes the graph as the stage Transform does."""
    settings = {"image_input": image_input.serialized(), "max_pixels": decoding.MAX_PIXELS}
    made = functools.partial(preprocessing.preprocessing_fn, custom_config=settings)
    spec = {name: tf.io.FixedLenFeature([1], tf.string) for name in (features.ENCODED, features.LABEL)}
    rows = [{features.ENCODED: [b""], features.LABEL: [name.encode()]} for name in classes]
    with tft_beam.Context(temp_dir=f"{folder}-scratch"), beam.Pipeline("FnApiRunner") as pipeline:
        raw = (pipeline | beam.Create(rows), tft.DatasetMetadata.from_feature_spec(spec))
        raw | tft_beam.AnalyzeDataset(made) | tft_beam.WriteTransformFn(str(folder))
    return tft.TFTransformOutput(str(folder))


def _plain_images(records: str, size: int, epoch: int) -> Iterable[Any]:
    spec = {features.ENCODED: tf.io.FixedLenFeature([], tf.string)}

    def decoded(serialized: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_jpeg(tf.io.parse_single_example(serialized, spec)[features.ENCODED], channels=3)
        return tf.image.resize(image, [size, size], antialias=True) / 127.5 - 1

    shuffled = tf.data.TFRecordDataset(records, "GZIP").shuffle(4096, seed=epoch)
    return shuffled.map(decoded, num_parallel_calls=2).batch(_BATCH).prefetch(2)


def _activations(folder: Path | None, rows: int) -> np.ndarray:
    """Random activations [rows, 1, *_SHAPE], float16, in memory or mapped from a file of this folder."""
    shape = (rows, 1, *_SHAPE)
    if folder is None:
        made = np.empty(shape, np.float16)
    else:
        made = np.memmap(folder / "activations", np.float16, "w+", shape=shape)
    block = np.random.default_rng(0).random((min(rows, _WRITTEN), 1, *_SHAPE), np.float32).astype(np.float16)
    for start in range(0, rows, _WRITTEN):
        made[start : start + _WRITTEN] = block[: rows - start]
    return made


def _of_features(activations: np.ndarray) -> Sides:
    rows = len(activations)
    table = FeatureTable(activations, np.arange(rows) % _CLASSES, np.ones(rows, np.float32), _CLASSES)
    most = min(rows, _MOST_READ)

    def plain(epoch: int) -> Iterator[np.ndarray]:
        order = np.random.default_rng(epoch).permutation(rows)[:most]
        for start in range(0, most, _BATCH):
            yield activations[order[start : start + _BATCH], 0].astype(np.float32)

    return {_OURS: lambda epoch: _epoch(table, epoch, most), _RIVAL: plain}


if __name__ == "__main__":
    main()
