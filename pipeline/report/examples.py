"""Reads images of a run again, from the examples that ImageExampleGen wrote."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import tensorflow as tf

from modules.data import features


@dataclass(frozen=True)
class ExampleImage:
    """One image.

    Attributes:
      key: SHA-256 of its bytes, hexadecimal.
      path: below the data folder.
      label: class name.
      encoded: the image's file.
    """

    key: str
    path: str
    label: str
    encoded: bytes


def read(examples: str, split: str, most_bytes: int) -> Iterator[ExampleImage]:
    """The images of a split, shard by shard and by their keys, which are as good as random.

    Args:
      examples: folder of the Examples artifact.
      split: its name.
      most_bytes: where reading ends, so that a large data set takes no longer than a small one.
    """
    files = sorted(tf.io.gfile.glob(os.path.join(examples, f"Split-{split}", "*")))
    total = 0
    for record in tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator() if files else ():
        values = tf.train.Example.FromString(record).features.feature
        path, key, label, encoded = (
            values[name].bytes_list.value[0] for name in (features.PATH, features.KEY, features.LABEL, features.ENCODED)
        )
        yield ExampleImage(key.decode(), os.fsdecode(path), label.decode("utf-8"), encoded)
        total += len(record)
        if total > most_bytes:
            return
