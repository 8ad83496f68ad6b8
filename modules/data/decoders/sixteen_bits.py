"""Images of 16 bits per channel as 8 bits."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

_EIGHT_BITS, _TWELVE_BITS = 255, 4095  # highest values


def to_eight(image: tf.Tensor) -> tf.Tensor:
    """Keeps the upper eight of the bits that are in use.

    X-ray, microscopy and thermal cameras store 12 bits (or 8) in files of 16. Their upper eight bits would be nearly
    black. So an image whose highest value fits 8 bits is taken to have 8, one whose highest value fits 12 bits to have
    12, and any other 16. No depth in between is guessed: pictures of one camera, of which some are darker, would be
    scaled differently.

    Only visible pixels count: colours that nobody sees, such as 65535 for pixels without data, decide nothing. Opacity
    has its own highest value, and the same rule: devices that write 12 bits of colour may write opacity in 12 or in 16.

    Args:
      image: uint16 [height, width, 4], RGB and opacity.

    Returns:
      uint8 of the same shape.
    """
    colour, opacity = tf.cast(image[:, :, :3], tf.int32), tf.cast(image[:, :, 3:], tf.int32)
    opacity //= _divisor(opacity)
    colour //= _divisor(tf.where(opacity > 0, colour, 0))
    return tf.cast(tf.concat([tf.minimum(colour, _EIGHT_BITS), opacity], axis=-1), tf.uint8)


def _divisor(values: tf.Tensor) -> tf.Tensor:
    highest = tf.reduce_max(values)
    return tf.where(highest <= _EIGHT_BITS, 1, tf.where(highest <= _TWELVE_BITS, 16, 256))


def to_eight_bits(values: np.ndarray) -> np.ndarray:
    """The same in NumPy, of an opaque image.

    Args:
      values: uint16 [height, width], grey.

    Returns:
      uint8 of the same shape.
    """
    highest = values.max(initial=0)
    return (values // (1 if highest <= _EIGHT_BITS else 16 if highest <= _TWELVE_BITS else 256)).astype(np.uint8)
