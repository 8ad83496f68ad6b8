"""Reads marks and numbers in the bytes of a file, as TensorFlow operations."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf


def traced_once(*signature: tf.TensorSpec) -> Callable[[Callable[..., Any]], tf.types.experimental.PolymorphicFunction]:
    """A decorator: the function's operations are in a graph once, as one call, wherever and however often it is called.

    Operations in branches cost time when the graph is made, and again when it first runs. A call that is not inlined
    costs none in a branch that is not taken, where TensorFlow would visit each operation.

    Not for functions with a loop that a loop calls: in a session, TensorFlow fails on them ("inputs from different
    frames").

    Args:
      signature: of the function's arguments.
    """
    return functools.partial(
        tf.function, input_signature=signature, autograph=False, experimental_attributes={"_noinline": True}
    )


def starts_with(encoded: tf.Tensor, mark: bytes, at: tf.Tensor | int = 0) -> tf.Tensor:
    """Whether these bytes are at this place; False beyond the file's end."""
    return tf.equal(part(encoded, at, len(mark)), mark)


def part(encoded: tf.Tensor, at: tf.Tensor | int, count: tf.Tensor | int) -> tf.Tensor:
    """At most `count` bytes, string scalar: fewer, or none, at the file's end. Negative counts count as 0."""
    return tf.strings.substr(encoded, tf.minimum(at, tf.strings.length(encoded)), tf.maximum(count, 0))


def uint8s(encoded: tf.Tensor, at: tf.Tensor | int, count: int) -> tf.Tensor:
    """int32 [count] of the bytes; 0 beyond the file's end."""
    return tf.cast(tf.io.decode_raw(part(encoded, at, count), tf.uint8, fixed_length=count), tf.int32)


def uint16s(encoded: tf.Tensor, at: tf.Tensor | int, count: int, little: bool = True) -> tf.Tensor:
    """int32 [count] of numbers of two bytes; 0 beyond the file's end."""
    raw = tf.io.decode_raw(part(encoded, at, 2 * count), tf.uint16, little_endian=little, fixed_length=2 * count)
    return tf.cast(raw, tf.int32)


def uint32(encoded: tf.Tensor, at: tf.Tensor | int, little: bool = True) -> tf.Tensor:
    """int64 scalar, a number of four bytes; 0 beyond the file's end."""
    return tf.cast(int32(encoded, at, little), tf.int64) & 0xFFFFFFFF


def int32(encoded: tf.Tensor, at: tf.Tensor | int, little: bool = True) -> tf.Tensor:
    """int32 scalar, a number of four bytes; 0 beyond the file's end."""
    return tf.io.decode_raw(part(encoded, at, 4), tf.int32, little_endian=little, fixed_length=4)[0]


def checked(value: tf.Tensor, holds: tf.Tensor, message: str) -> tf.Tensor:
    """The same value; using it raises InvalidArgumentError with the message unless the condition holds.

    The operations of tf.debugging have state, and run even where nothing depends on the value: to look up a label, as
    Transform and Evaluator do, every image would be decoded. An operation that fails to read a number says what it
    read (`config.errors.op_message` takes that apart). Its result must be used, or TensorFlow leaves it out.
    """
    zero = tf.strings.to_number(tf.where(holds, "0", message))
    return tf.where(tf.equal(zero, 0), value, tf.zeros_like(value))


def within_bound(encoded: tf.Tensor, height: tf.Tensor, width: tf.Tensor, max_pixels: int) -> tf.Tensor:
    """The same bytes; using them raises InvalidArgumentError if the picture has more than `max_pixels` pixels."""
    few = tf.cast(height, tf.int64) * tf.cast(width, tf.int64) <= max_pixels
    return checked(encoded, few, f"the image has more than {max_pixels} pixels, according to its header")
