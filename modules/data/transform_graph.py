"""What the transform graph makes of raw examples, and the class names that it holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import tensorflow as tf
import tensorflow_transform as tft

from modules.data import features


def class_names(transform_output: tft.TFTransformOutput) -> list[str]:
    """The class names in the order of their indices, as the transform graph's asset lists them."""
    path = transform_output.vocabulary_file_by_name(features.CLASSES_ASSET)
    return Path(path).read_text(encoding="utf-8").removesuffix("\n").split("\n")


def reader(transform_output: tft.TFTransformOutput) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """The function that reads raw examples through the transform graph.

    Args:
      transform_output: the graph.

    Returns:
      a function of serialized examples, string [batch], to the graph's outputs, see modules/data/features.py, and two
      raw features unchanged: `image/key`, string [batch], and `image/weight`, float32 [batch].
    """
    transform = transform_output.transform_features_layer()
    spec = {name: tf.io.FixedLenFeature([1], tf.string) for name in (features.ENCODED, features.LABEL)}
    passed_on = {
        features.KEY: tf.io.FixedLenFeature([], tf.string),
        features.WEIGHT: tf.io.FixedLenFeature([], tf.float32),
    }

    def read(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(serialized, spec | passed_on)
        kept = {name: parsed.pop(name) for name in passed_on}
        return transform(parsed) | kept

    return read
