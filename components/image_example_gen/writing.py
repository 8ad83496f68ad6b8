"""The second reading: examples, in shards ordered by key.

Keys are hashes, so their order is as good as shuffled, and the same examples always make the same files: training with
the same seed can be repeated. beam.io.WriteToTFRecord gives no order. The bytes are read a second time here, one image
at a time, so that they need not travel through the groupings, where a local runner would hold them in memory.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import apache_beam as beam
import tensorflow as tf

from components import progress
from components.image_example_gen import inspection, report, threads
from components.image_example_gen.looking import Seen
from components.image_example_gen.sources import files, reading
from modules import features
from modules.errors import BadInputError

_EXAMPLES_PER_SHARD = 1000
# Images are compressed already: gzip would make them 2 % smaller in twenty times the time, and is slower to read.
_STORED = tf.io.TFRecordOptions(compression_type="GZIP", compression_level=0)


class Write(beam.PTransform):
    """Writes (split, Seen) as examples; gives one row a shard of what was written."""

    def __init__(self, uri: str, tallies: str):
        """Notes where.

        Args:
          uri: of the examples.
          tallies: where the workers say how far they are.
        """
        super().__init__()
        self._uri, self._tallies = uri, tallies

    def expand(self, examples: beam.PCollection) -> beam.PCollection:
        splits = examples | "Splits" >> beam.Map(lambda example: example[0])
        sizes = beam.pvalue.AsDict(splits | "Sizes" >> beam.combiners.Count.PerElement())
        return (
            examples
            | "Shard" >> beam.Map(_sharded, sizes)
            | "ByShard" >> beam.GroupByKey()
            | "WriteShard" >> beam.Map(_written, self._uri, self._tallies, sizes)
        )


def _sharded(example: tuple[str, Seen], sizes: Mapping[str, int]) -> tuple[tuple[str, int, int], Seen]:
    split, image = example
    shards = max(1, round(sizes[split] / _EXAMPLES_PER_SHARD))
    # The split takes the hash modulo the shares; other digits choose the shard, so that both are independent.
    return (split, int(image.key[:16], 16) % shards, shards), image


def _written(
    shard: tuple[tuple[str, int, int], Iterable[Seen]], uri: str, tallies: str, sizes: Mapping[str, int]
) -> dict[str, Any]:
    (split, index, shards), images = shard[0], sorted(shard[1], key=lambda image: image.key)
    folder = os.path.join(uri, f"Split-{split}")
    tf.io.gfile.makedirs(folder)
    path = os.path.join(folder, f"data_tfrecord-{index:05d}-of-{shards:05d}.gz")
    temporary = os.path.join(uri, f".{split}-{index}.tmp")
    remote = any(files.is_remote(image.place.uri) for image in images)
    at_once = threads.AT_ONCE_REMOTE if remote else threads.AT_ONCE
    tally = progress.Tally.of(tallies, sum(sizes.values()))
    with tf.io.TFRecordWriter(temporary, _STORED) as writer, ThreadPoolExecutor(at_once) as pool:
        for serialized in threads.ordered(pool, _serialized, images, at_once):
            writer.write(serialized)
            tally.add(1, 1)
    tf.io.gfile.rename(temporary, path, overwrite=True)
    return {
        "path": path,
        "split": split,
        "classes": Counter(image.label for image in images),
        "transcoded": sum(image.facts.transcoded for image in images),
        "fingerprint": report.fingerprint((split, image.label, image.key) for image in images),
    }


def _serialized(image: Seen) -> bytes:
    encoded, facts = reading.fetch(image.place), image.facts
    if hashlib.sha256(encoded).hexdigest() != image.key:
        raise BadInputError(f"{image.path}: has changed while it was read; the run has to be started again")
    values: dict[str, bytes | int | float] = {
        features.ENCODED: inspection.transcoded(encoded) if facts.transcoded else encoded,
        features.LABEL: image.label.encode("utf-8"),
        features.KEY: image.key.encode("ascii"),
        features.FORMAT: facts.format.encode("ascii"),
        features.SIZE_BAND: features.size_band(facts.height, facts.width).encode("ascii"),
        features.PATH: os.fsencode(image.path),
        features.GROUP: image.group.encode("utf-8"),
        features.HEIGHT: facts.height,
        features.WIDTH: facts.width,
        features.BRIGHTNESS: facts.brightness,
        features.WEIGHT: image.weight,
    }
    example = tf.train.Example(features=tf.train.Features(feature={k: _feature(v) for k, v in values.items()}))
    return bytes(example.SerializeToString(deterministic=True))


def _feature(value: bytes | int | float) -> tf.train.Feature:
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    if isinstance(value, float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
