"""The test images that the stress test corrupts: the same ones in each run, as long as the data stays the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import tensorflow as tf

from components.evaluator.stress import sample_keys
from modules.data import features

_BATCH = 64  # examples parsed at a time


@dataclass(frozen=True)
class Image:
    """A test image.

    Attributes:
      key: SHA-256 of its bytes, hexadecimal.
      label: name of its class.
      encoded: the image file.
    """

    key: str
    label: str
    encoded: bytes

    @property
    def seed(self) -> int:
        """What is random about its corruptions; 64 bits."""
        return int(self.key[:16], 16)


def read(files: Sequence[str], labels: Mapping[str, str], images: int) -> list[Image]:
    """Reads the sample; only its images are in memory.

    Args:
      files: TFRecords of raw examples, compressed with gzip.
      labels: key of each image to the name of its class.
      images: how many; all if there are fewer.

    Returns:
      in the order of their keys.
    """
    wanted = sample_keys.chosen(labels, images)
    found: dict[str, Image] = {}
    spec = {name: tf.io.FixedLenFeature([], tf.string) for name in (features.KEY, features.ENCODED)}
    for serialized in tf.data.TFRecordDataset(list(files), "GZIP").batch(_BATCH):
        parsed = tf.io.parse_example(serialized, spec)
        for key, encoded in zip(parsed[features.KEY].numpy(), parsed[features.ENCODED].numpy(), strict=True):
            if (name := key.decode("ascii")) in wanted:
                found[name] = Image(name, labels[name], encoded)
    return [found[key] for key in sorted(found)]
