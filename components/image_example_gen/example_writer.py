"""The second pass: writes examples in shards, ordered by key.

Keys are hashes, so their order is as good as random, and the same examples always give the same files: training with
the same seed can be repeated. beam.io.WriteToTFRecord does not keep an order. The images are read again here, one at a
time, so that their bytes never go through a shuffle, which a local runner would hold in memory.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf

from components import fact_table, progress
from components.image_example_gen import agreement, parallelism, report, report_writer
from components.image_example_gen.inspection import InspectedImage
from components.image_example_gen.sources import readers
from config import image_facts
from config.errors import BadInputError
from modules.data import features, tf_example

_EXAMPLES_PER_SHARD = 1000
# Images are compressed already. Compressing them again would save 2 % of the space, take twenty times as long to write,
# and be slower to read.
_STORED = tf.io.TFRecordOptions(compression_type="GZIP", compression_level=0)


Shard = tuple[str, int, int, int]  # split, index of the shard, number of shards of the split, size of all splits


class WriteExamples(beam.PTransform):
    """Writes (split, InspectedImage) as examples; returns one row per shard that says what was written.

    The rows are those of a report: (name of the report, row).
    """

    def __init__(
        self, uri: str, facts_folder: str, columns: Sequence[str], progress_folder: str, sizes: beam.PCollection
    ):
        """Stores the arguments.

        Args:
          uri: of the examples.
          facts_folder: of the table of facts, see components/fact_table.py.
          columns: names of the manifest's columns that are kept.
          progress_folder: where the workers write their progress.
          sizes: one mapping, split to number of examples.
        """
        super().__init__()
        self._folders, self._columns, self._sizes = (uri, facts_folder, progress_folder), columns, sizes

    def expand(self, examples: beam.PCollection) -> beam.PCollection:
        return (
            examples
            | "ChooseShard" >> beam.Map(_with_shard, beam.pvalue.AsSingleton(self._sizes))
            | "GroupByShard" >> beam.GroupByKey()
            | "WriteShard" >> beam.Map(_write_shard, self._folders, self._columns)
        )


def _with_shard(example: tuple[str, InspectedImage], sizes: Mapping[str, int]) -> tuple[Shard, InspectedImage]:
    split, image = example
    shards = max(1, round(sizes[split] / _EXAMPLES_PER_SHARD))
    # The split depends on the whole hash modulo the shares. Its first digits alone are independent of that.
    return (split, int(image.key[:16], 16) % shards, shards, sum(sizes.values())), image


def _write_shard(
    group: tuple[Shard, Iterable[InspectedImage]], folders: tuple[str, str, str], columns: Sequence[str]
) -> tuple[str, dict[str, Any]]:
    uri, facts_folder, progress_folder = folders
    (split, index, shards, total), images = group[0], sorted(group[1], key=lambda image: image.key)
    folder = os.path.join(uri, f"Split-{split}")
    tf.io.gfile.makedirs(folder)
    path = os.path.join(folder, f"data_tfrecord-{index:05d}-of-{shards:05d}.gz")
    temporary = os.path.join(uri, f".{split}-{index}.tmp")
    threads = parallelism.threads_for(image.location.uri for image in images)
    tally = progress.Tally.of(progress_folder, total)
    with tf.io.TFRecordWriter(temporary, _STORED) as writer, ThreadPoolExecutor(threads) as pool:
        for serialized in parallelism.map_in_order(pool, functools.partial(_serialize, columns), images, threads):
            writer.write(serialized)
            tally.add(1, 1)
    tf.io.gfile.rename(temporary, path, overwrite=True)
    rows = (_facts_of(columns, image) for image in images)
    fact_table.write(facts_folder, f"{split}-{index:05d}-of-{shards:05d}", columns, rows)
    return report_writer.WRITTEN, _describe_shard(path, split, images)


def _describe_shard(path: str, split: str, images: Sequence[InspectedImage]) -> dict[str, Any]:
    return {
        "path": path,
        "split": split,
        "classes": Counter(image.label for image in images),
        "transcoded": sum(image.facts.transcoded for image in images),
        "weights": _sum_weights(images),
        "with": {
            "split": sum(bool(image.split) for image in images),
            "group": sum(bool(image.group) for image in images),
            "weight": sum(image.weight != 1 for image in images),
        },
        "little_content": [
            {"path": image.path, "label": image.label, "split": split} for image in images if image.facts.little_content
        ],
        "fingerprint": report.fingerprint((split, image.label, image.key) for image in images),
    }


def _sum_weights(images: Iterable[InspectedImage]) -> dict[str, float]:
    """Class name to the sum of the weights as examples hold them: below the smallest 32-bit float, a weight is 0."""
    sums: dict[str, float] = {}
    for image in images:
        sums[image.label] = sums.get(image.label, 0.0) + float(np.float32(image.weight))
    return sums


def _facts_of(columns: Sequence[str], image: InspectedImage) -> dict[str, str | int | float]:
    """A row of the table of facts."""
    facts = image.facts
    return {
        fact_table.KEY: image.key,
        fact_table.LABEL: image.label,
        features.HEIGHT: facts.height,
        features.WIDTH: facts.width,
        features.BRIGHTNESS: facts.brightness,
        features.SHARPNESS: facts.sharpness,
        features.FORMAT: facts.format,
        features.CAMERA: facts.camera,
        **_columns_of(columns, image),
    }


def _columns_of(columns: Sequence[str], image: InspectedImage) -> dict[str, str]:
    """Feature to value, of the columns of the manifest that are kept."""
    return {f"{features.COLUMN}{name}": value for name, value in zip(columns, image.columns, strict=True)}


def _serialize(columns: Sequence[str], image: InspectedImage) -> bytes:
    encoded, facts = readers.fetch(image.location), image.facts
    if hashlib.sha256(encoded).hexdigest() != image.key:
        raise BadInputError(f"{image.path}: the file changed during the run; start the run again")
    values: dict[str, bytes | int | float] = {
        features.ENCODED: agreement.transcode_to_png(encoded) if facts.transcoded else encoded,
        features.LABEL: image.label.encode("utf-8"),
        features.KEY: image.key.encode("ascii"),
        features.FORMAT: facts.format.encode("ascii"),
        features.SIZE_BAND: image_facts.size_band(facts.height, facts.width).encode("ascii"),
        features.BRIGHTNESS_BAND: image_facts.brightness_band(facts.brightness).encode("ascii"),
        features.SHARPNESS_BAND: image_facts.sharpness_band(facts.sharpness).encode("ascii"),
        features.ASPECT_BAND: image_facts.aspect_band(facts.height, facts.width).encode("ascii"),
        features.CAMERA: facts.camera.encode("ascii"),
        features.PATH: os.fsencode(image.path),
        features.GROUP: image.group.encode("utf-8"),
        features.HEIGHT: facts.height,
        features.WIDTH: facts.width,
        features.BRIGHTNESS: facts.brightness,
        features.SHARPNESS: facts.sharpness,
        features.WEIGHT: image.weight,
        **{name: value.encode("utf-8") for name, value in _columns_of(columns, image).items()},
    }
    return tf_example.serialize(values)
