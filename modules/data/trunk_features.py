"""The format of trunk features: the trunk's activations for every image, and how they were made.

A folder of them holds `manifest.json` and, for each split, TFRecords of tf.Examples:

| feature       | type  | shape | value                                                             |
|---------------|-------|-------|-------------------------------------------------------------------|
| `image/key`   | bytes | [1]   | the image's key                                                   |
| `label`       | int64 | [1]   | index of its class                                                |
| `image/weight`| float | [1]   | weight of the example in the loss                                 |
| `activations` | bytes | [1]   | array [views, *shape] of the manifest's dtype, little-endian      |
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from config.errors import BadInputError
from modules.data import features, tf_example
from modules.files import atomic_write

MANIFEST = "manifest.json"
ACTIVATIONS = "activations"

CACHED, PIXELS = "cached", "pixels"


@dataclass(frozen=True)
class Manifest:
    """How the features in a folder were made.

    Attributes:
      mode: `cached`, or `pixels` if keeping activations does not pay: then there are none, and training reads images.
      reason: why it does not pay; empty if it does.
      cut: name of the trunk's last layer.
      pooled: whether the trunk ends with the head's pooling.
      shape: of one image's activations.
      dtype: `float16` or `float32`.
      views: variants of each image of the split `train`; images of other splits have one.
      weights: digest of the trunk's weights, see trunk.digest.
      runtime: what ran the trunk, `tensorflow` or `openvino`; empty if nothing was computed.
      runtime_reason: why it was not openvino; empty if it was, or tensorflow was asked for.
    """

    mode: str
    reason: str
    cut: str
    pooled: bool
    shape: tuple[int, ...]
    dtype: str
    views: int
    weights: str
    runtime: str = ""
    runtime_reason: str = ""

    def write(self, folder: str) -> None:
        atomic_write(Path(folder, MANIFEST), json.dumps(dataclasses.asdict(self), indent=2) + "\n")

    @classmethod
    def read(cls, folder: str) -> Manifest:
        content = json.loads(Path(folder, MANIFEST).read_text(encoding="utf-8"))
        return cls(**{**content, "shape": tuple(content["shape"])})


class OtherWeightsError(BadInputError):
    """The activations were computed with another trunk than the one that will serve."""


class NotKeptError(BadInputError):
    """The configuration insists on kept activations, and they cannot be kept."""


def raise_if_required(reason: str, required: bool, views: int) -> None:
    """Raises NotKeptError, for this reason, if a configuration insists on kept activations."""
    if required:
        raise NotKeptError(f"trunk_features.mode: cached is not possible: {reason}; auto and pixels are")
    if views > 1:
        raise NotKeptError(f"trunk_features.views: {views} views cannot be kept: {reason}; 1 is allowed")


def folder_of(file_pattern: str) -> str | None:
    """The folder of trunk features that a split's file pattern leads into; None if it holds something else."""
    folder = Path(file_pattern).parent.parent
    return str(folder) if (folder / MANIFEST).is_file() else None


def encode(key: bytes, label: int, weight: float, activations: np.ndarray) -> bytes:
    """One image's features as a serialized tf.Example."""
    little_endian = activations.astype(activations.dtype.newbyteorder("<"), copy=False)
    return tf_example.serialize(
        {
            features.KEY: key,
            features.TRANSFORMED_LABEL: label,
            features.WEIGHT: weight,
            ACTIVATIONS: little_endian.tobytes(),
        }
    )


def decode(files: Sequence[str], manifest: Manifest, batch_size: int) -> tf.data.Dataset:
    """Batches of (keys, labels, weights, activations), as `Extractor` gave them, one image's after the other's."""
    spec = {
        features.KEY: tf.io.FixedLenFeature([], tf.string),
        features.TRANSFORMED_LABEL: tf.io.FixedLenFeature([], tf.int64),
        features.WEIGHT: tf.io.FixedLenFeature([], tf.float32),
        ACTIVATIONS: tf.io.FixedLenFeature([], tf.string),
    }

    def parse(serialized: tf.Tensor) -> tuple[tf.Tensor, ...]:
        parsed = tf.io.parse_example(serialized, spec)
        flat = tf.io.decode_raw(parsed[ACTIVATIONS], tf.as_dtype(manifest.dtype))
        activations = tf.reshape(flat, (tf.shape(serialized)[0], -1, *manifest.shape))
        return parsed[features.KEY], parsed[features.TRANSFORMED_LABEL], parsed[features.WEIGHT], activations

    return tf.data.TFRecordDataset(files).batch(batch_size).map(parse)
