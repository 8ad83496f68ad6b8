"""Changes of a batch of images, each image by its own amount; nothing here is random, and nothing has state.

Pixels are float32 [batch, height, width, 3], RGB in [0, 255], in every argument and every result. Amounts are float32
[batch]. The changes mean what Keras's preprocessing layers mean; tests compare them.
"""

from __future__ import annotations

import functools

import tensorflow as tf


def flip(pixels: tf.Tensor, axis: int, flipped: tf.Tensor) -> tf.Tensor:
    """Mirrors images.

    Args:
      pixels: see above.
      axis: 1 turns images upside down, 2 exchanges left and right.
      flipped: bool [batch], which images.
    """
    return tf.raw_ops.Select(condition=flipped, x=tf.reverse(pixels, [axis]), y=pixels)


def warp(
    pixels: tf.Tensor, angle: tf.Tensor, zoom: tuple[tf.Tensor, tf.Tensor], shift: tuple[tf.Tensor, tf.Tensor]
) -> tf.Tensor:
    """Rotates, then zooms, then shifts images, with a single bilinear interpolation; outside is a mirror image.

    Args:
      pixels: see above.
      angle: counter-clockwise, in radians.
      zoom: share of the width and of the height that fills the result; below 1 cuts the border away, and below 0
        mirrors, too.
      shift: to the right and down, as shares of the width and the height.
    """
    height, width = (tf.cast(size, tf.float32) for size in tf.unstack(tf.shape(pixels)[1:3]))
    center_x, center_y = (width - 1) / 2, (height - 1) / 2
    xx, xy = zoom[0] * tf.cos(angle), -zoom[1] * tf.sin(angle)
    yx, yy = zoom[0] * tf.sin(angle), zoom[1] * tf.cos(angle)
    x, y = center_x + shift[0] * width, center_y + shift[1] * height
    return _project(pixels, (xx, xy, center_x - xx * x - xy * y), (yx, yy, center_y - yx * x - yy * y))


def shear(pixels: tf.Tensor, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Shifts each row by x times its number, and each column by y times its number; outside is a mirror image."""
    one, zero = tf.ones_like(x), tf.zeros_like(x)
    return _project(pixels, (one, x, zero), (y, one, zero))


def brighten(pixels: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Adds a share of the range of values, -1 to 1."""
    return _clip(pixels + _each(share) * 255)


def stretch_contrast(pixels: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Multiplies the distance to the mean of the image's channel by a factor of 0 or more."""
    return _clip(_blend(tf.reduce_mean(pixels, axis=(1, 2), keepdims=True), pixels, factor))


def saturate(pixels: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Multiplies the saturation (of hue, saturation, value) by a factor of 0 or more; 0 gives grey.

    The value is the largest channel. The distance of the others to it is proportional to the saturation.
    """
    value = tf.maximum(tf.maximum(pixels[..., 0:1], pixels[..., 1:2]), pixels[..., 2:3])
    return _clip(_blend(value, pixels, factor))


def turn_hue(pixels: tf.Tensor, turns: tf.Tensor) -> tf.Tensor:
    """Turns the hue (of hue, saturation, value) by this share of the colour circle, -1 to 1."""
    # The library's operation takes one turn for all its images. It is twice as fast as a way through HSV images.
    turn = functools.partial(tf.map_fn, lambda one: tf.raw_ops.AdjustHue(images=one[0], delta=one[1]))
    return tf.ensure_shape(turn((pixels, turns), fn_output_signature=tf.float32), pixels.shape)


def fade(pixels: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Moves colours towards the image in grey; 0 leaves them, 1 is grey."""
    return _blend(tf.image.rgb_to_grayscale(pixels), pixels, 1 - share)


def sharpen(pixels: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Moves away from the smoothed image; 0 is the smoothed image, 1 the image itself, 2 as far beyond it."""
    kernel = tf.tile(tf.reshape([1.0] * 4 + [5.0] + [1.0] * 4, (3, 3, 1, 1)) / 13, (1, 1, 3, 1))
    smooth = tf.nn.depthwise_conv2d(pixels, kernel, strides=(1, 1, 1, 1), padding="SAME")
    return _clip(_blend(smooth, pixels, factor))


def posterize(pixels: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
    """Keeps the upper bits of each value, 1 to 8 of them."""
    step = _each(2.0 ** (8 - bits))
    return tf.floor(pixels / step) * step


def solarize(pixels: tf.Tensor, addition: tf.Tensor, threshold: tf.Tensor) -> tf.Tensor:
    """Adds to all values, then inverts those that reach the threshold; both 0 to 255."""
    added = _clip(pixels + _each(addition))
    return tf.where(added < _each(threshold), added, 255 - added)


def stretch_to_range(pixels: tf.Tensor) -> tf.Tensor:
    """Stretches each channel of each image to the whole range; a channel with one value stays."""
    low, high = (reduce(pixels, axis=(1, 2), keepdims=True) for reduce in (tf.reduce_min, tf.reduce_max))
    return tf.where(high > low, _clip(tf.math.divide_no_nan(pixels - low, high - low) * 255), pixels)


def equalize(pixels: tf.Tensor) -> tf.Tensor:
    """Equalizes the histogram of each channel of each image; a channel with one value stays."""
    shape = tf.shape(pixels)
    channels = tf.reshape(tf.transpose(pixels, (0, 3, 1, 2)), (shape[0] * 3, shape[1] * shape[2]))
    values = tf.cast(channels, tf.int32)
    at = values + 256 * tf.range(shape[0] * 3)[:, None]
    histogram = tf.math.unsorted_segment_sum(tf.ones_like(at), at, 256 * 3 * shape[0])
    below = tf.cumsum(tf.reshape(histogram, (shape[0] * 3, 256)), axis=1)
    total = below[:, -1:]
    lowest = tf.reduce_min(tf.where(below > 0, below, total), axis=1, keepdims=True)
    table = tf.round(tf.cast(below - lowest, tf.float32) * 255 / tf.cast(tf.maximum(total - lowest, 1), tf.float32))
    equalized = tf.where(total > lowest, tf.gather(tf.reshape(table, [-1]), at), channels)
    return tf.transpose(tf.reshape(equalized, (shape[0], 3, shape[1], shape[2])), (0, 2, 3, 1))


def _project(pixels: tf.Tensor, to_x: tuple[tf.Tensor, ...], to_y: tuple[tf.Tensor, ...]) -> tf.Tensor:
    """Takes each pixel (x, y) of the result from (a x + b y + c, d x + e y + f) of the image."""
    zero = tf.zeros_like(to_x[0])
    projected = tf.raw_ops.ImageProjectiveTransformV3(
        images=pixels,
        transforms=tf.stack([*to_x, *to_y, zero, zero], axis=1),
        output_shape=tf.shape(pixels)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )
    return tf.ensure_shape(projected, pixels.shape)


def _each(amount: tf.Tensor) -> tf.Tensor:
    """An amount of each image, to be combined with its pixels."""
    return amount[:, None, None, None]


def _blend(start: tf.Tensor, end: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """The image at a share of the way from one image to another; 0 is the first, 1 the second, 2 as far beyond it."""
    return end * _each(share) + start * _each(1 - share)


def _clip(pixels: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(pixels, 0.0, 255.0)
