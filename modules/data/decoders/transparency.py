"""Transparent pixels show a white background, as paper and most viewers do."""

from __future__ import annotations

import tensorflow as tf

from modules.data.decoders import encoded as reading

BACKGROUND = 255  # of each channel


@reading.traced_once(tf.TensorSpec([None, None, None], tf.uint8))
def on_background(image: tf.Tensor) -> tf.Tensor:
    """Composes an image on the background.

    Args:
      image: uint8 [height, width, 3 or 4]: RGB, or RGB and opacity.

    Returns:
      uint8 [height, width, 3].
    """
    return tf.cond(tf.equal(tf.shape(image)[-1], 4), lambda: _compose(image), lambda: image)


def _compose(image: tf.Tensor) -> tf.Tensor:
    values = tf.cast(image, tf.int32)
    colour, opacity = values[:, :, :3], values[:, :, 3:]
    return tf.cast((colour * opacity + BACKGROUND * (255 - opacity) + 127) // 255, tf.uint8)
