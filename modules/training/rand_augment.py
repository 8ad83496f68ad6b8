"""RandAugment: each image gets random operations out of eleven. Method: arXiv 1909.13719.

Operations and ranges are those of Keras's layer. There, a batch shares its operations; here, each image has its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf

from modules.training import image_changes

ROUNDS = 2
"""Operations per image."""

# Pixels of n images, the strength (0 to 1), and two random numbers of each image, float32 [n] in [0, 1), to pixels.
Operation = Callable[[tf.Tensor, float, tf.Tensor, tf.Tensor], tf.Tensor]


def _shear(pixels: tf.Tensor, strength: float, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """To either side: the first number also decides which, as it is below or above one half."""
    signed = strength * (2 * first - 1)
    return image_changes.shear(pixels, signed, tf.sign(signed) * strength * second)


def _shift(pixels: tf.Tensor, strength: float, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    one = tf.ones_like(first)
    return image_changes.warp(pixels, 0 * one, (one, one), (strength * first, strength * second))


def _rotate(pixels: tf.Tensor, strength: float, first: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
    one = tf.ones_like(first)
    return image_changes.warp(pixels, 2 * math.pi * strength * first, (one, one), (0 * one, 0 * one))


def _posterize(pixels: tf.Tensor, strength: float, first: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
    most = max(1, int(8 * strength))
    return image_changes.posterize(pixels, 1 + tf.floor(first * max(1, most - 1)))


OPERATIONS: tuple[Operation, ...] = (
    _shear,
    _shift,
    _rotate,
    lambda pixels, strength, first, _: image_changes.brighten(pixels, strength * first),
    lambda pixels, strength, first, _: image_changes.fade(pixels, strength * first),
    lambda pixels, strength, first, _: image_changes.stretch_contrast(pixels, 1 + strength * first),
    lambda pixels, strength, first, _: image_changes.sharpen(pixels, 2 * strength * first),
    _posterize,
    lambda pixels, strength, *numbers: image_changes.solarize(pixels, *(255 * strength * number for number in numbers)),
    lambda pixels, *_: image_changes.stretch_to_range(pixels),
    lambda pixels, *_: image_changes.equalize(pixels),
)


def rand_augment(pixels: tf.Tensor, strength: float, draw: Callable[[str], tf.Tensor]) -> tf.Tensor:
    """Applies ROUNDS random operations to each image.

    Args:
      pixels: float32 [batch, height, width, 3], RGB in [0, 255].
      strength: 0 to 1.
      draw: gives a random number of each image by a name, float32 [batch] in [0, 1).

    Returns:
      the same shape and range.
    """
    for round_ in range(ROUNDS):
        operation, first, second = (draw(f"rand_augment/{round_}/{name}") for name in ("operation", "first", "second"))
        chosen = tf.cast(operation * len(OPERATIONS), tf.int32)
        # Each operation gets the images that chose it, often none.
        position = tf.range(tf.shape(pixels)[0])
        parts = [tf.dynamic_partition(part, chosen, len(OPERATIONS)) for part in (position, pixels, first, second)]
        positions, *arguments = (list(part) for part in parts)
        changed = [change(own, strength, a, b) for change, own, a, b in zip(OPERATIONS, *arguments, strict=True)]
        pixels = tf.ensure_shape(tf.dynamic_stitch(positions, changed), pixels.shape)
    return pixels
