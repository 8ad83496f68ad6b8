"""Decodes images and makes them squares, with TensorFlow ops that the transform graph holds."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from config.image_facts import MAX_PIXELS as MAX_PIXELS
from modules.data.decoders import Decoder, bmp, gif, jpeg, orientation, png, webp
from modules.data.decoders import encoded as reading

_OTHERS: tuple[Decoder, ...] = (png, gif, bmp, webp)


def decode_and_resize(
    encoded: tf.Tensor,
    image_size: int,
    aspect: str = "resize",
    interpolation: str = "bilinear",
    max_pixels: int = MAX_PIXELS,
) -> tf.Tensor:
    """Decodes a batch of images and makes each a square of one size.

    Args:
      encoded: string [batch], see `decode`.
      image_size: pixels.
      aspect: `resize` stretches the image to the square, `crop` takes the largest square at its centre, `pad` fits the
        whole image in and fills up with black.
      interpolation: a method of tf.image.resize; antialiased where the image shrinks.
      max_pixels: see `decode`.

    Returns:
      float32 [batch, image_size, image_size, 3], RGB in [0, 255].
    """

    def one(image: tf.Tensor) -> tf.Tensor:
        decoded = decode(image, max_pixels)
        if aspect == "crop":
            decoded = _central_square(decoded)
        if aspect == "pad":
            resized = _resize_with_pad(decoded, image_size, interpolation)
        else:
            resized = tf.image.resize(decoded, [image_size, image_size], method=interpolation, antialias=True)
        return tf.clip_by_value(tf.cast(resized, tf.float32), 0.0, 255.0)  # bicubic and Lanczos overshoot at edges

    return tf.map_fn(one, encoded, fn_output_signature=tf.TensorSpec([image_size, image_size, 3], tf.float32))


def _resize_with_pad(image: tf.Tensor, image_size: int, interpolation: str) -> tf.Tensor:
    """As tf.image.resize_with_pad, which fails where the shorter side would have less than one pixel.

    tf.image.pad_to_bounding_box holds assertions, see `encoded.checked`.
    """
    sides = tf.cast(tf.shape(image)[:2], tf.float64)
    fitting = tf.maximum(tf.constant(1.0, tf.float64), sides * image_size / tf.reduce_max(sides))
    height, width = tf.unstack(tf.cast(tf.floor(fitting), tf.int32))
    top, left = tf.unstack(tf.cast(tf.floor((image_size - fitting) / 2), tf.int32))
    resized = tf.image.resize(image, [height, width], method=interpolation, antialias=True)
    return tf.pad(resized, [[top, image_size - height - top], [left, image_size - width - left], [0, 0]])


def _central_square(image: tf.Tensor) -> tf.Tensor:
    height, width = tf.unstack(tf.shape(image)[:2])
    side = tf.minimum(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def decode(encoded: tf.Tensor, max_pixels: int = MAX_PIXELS) -> tf.Tensor:
    """Decodes one image.

    Args:
      encoded: string scalar: JPEG, PNG, GIF (first frame), BMP or WebP of any channel count.
      max_pixels: an image with more pixels is refused before it is decoded.

    Returns:
      uint8 [height, width, 3], RGB, upright: turned as the file's EXIF or XMP says; transparency shows a white
      background, grey is repeated, 16 bits become 8 (`sixteen_bits.to_eight`).

    Raises:
      tf.errors.InvalidArgumentError: when run on bytes that are no such image, are cut short, or have too many pixels.
    """
    is_jpeg = tf.equal(tf.strings.substr(encoded, 0, len(jpeg.MAGIC)), jpeg.MAGIC)
    decoders = _decoders(max_pixels)
    return _upright(*tf.cond(is_jpeg, lambda: decoders.jpeg(encoded), lambda: decoders.other(encoded)))


def decode_jpeg(encoded: tf.Tensor, max_pixels: int = MAX_PIXELS) -> tf.Tensor:
    """What `decode` does with a file that starts as a JPEG. This graph alone is made in a third of the time."""
    return _upright(*_decoders(max_pixels).jpeg(encoded))


class _Decoders(NamedTuple):
    """From one file's bytes to pixels as stored, and the orientation."""

    jpeg: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
    other: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


@functools.cache
def _decoders(max_pixels: int) -> _Decoders:
    """The same functions for all graphs of this process; Transform makes several."""
    once = reading.traced_once(tf.TensorSpec([], tf.string))
    return _Decoders(
        jpeg=once(lambda encoded: jpeg.decode(encoded, max_pixels)),
        other=once(lambda encoded: _decode_other(encoded, max_pixels)),
    )


def _upright(image: tf.Tensor, how: tf.Tensor) -> tf.Tensor:
    return tf.ensure_shape(orientation.upright(image, how), [None, None, 3])


def _decode_other(encoded: tf.Tensor, max_pixels: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Pixels as stored, and the orientation, of a file that is no JPEG."""
    branches = [lambda one=decoder: one.decode(encoded, max_pixels) for decoder in _OTHERS]
    magics = [decoder.MAGIC for decoder in _OTHERS]
    begin = tf.strings.substr(encoded, 0, max(map(len, magics)))
    hits = tf.equal(tf.strings.substr(begin, [0] * len(magics), [len(magic) for magic in magics]), magics)
    which = tf.where(tf.reduce_any(hits), tf.argmax(hits, output_type=tf.int32), len(_OTHERS))
    return tf.switch_case(which, [*branches, lambda: _unknown(encoded)])


def _unknown(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """TensorFlow says which formats it knows."""
    return tf.io.decode_image(encoded, channels=3, expand_animations=False), tf.constant(1)
