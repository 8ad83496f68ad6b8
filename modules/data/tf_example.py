"""One tf.Example of Python values: each feature has one value."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf


def make(values: Mapping[str, bytes | int | float]) -> tf.train.Example:
    """A tf.Example with these features.

    Args:
      values: name of the feature to its only value; a float is stored with 32 bits, an int with 64.
    """
    feature = {name: _feature(value) for name, value in values.items()}
    return tf.train.Example(features=tf.train.Features(feature=feature))


def serialize(values: Mapping[str, bytes | int | float]) -> bytes:
    """The same, serialized: the same values always give the same bytes."""
    return bytes(make(values).SerializeToString(deterministic=True))


def _feature(value: bytes | int | float) -> tf.train.Feature:
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    if isinstance(value, float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
