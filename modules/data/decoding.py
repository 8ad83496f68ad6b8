"""Decodes images and makes them squares, with TensorFlow ops that the transform graph holds."""

from __future__ import annotations

import tensorflow as tf

from modules.data import exif_orientation

_BMP_MAGIC = b"BM"


def decode_and_resize(
    encoded: tf.Tensor, image_size: int, aspect: str = "resize", interpolation: str = "bilinear"
) -> tf.Tensor:
    """Decodes a batch of images and makes each a square of one size.

    Args:
      encoded: string [batch], JPEG, PNG, GIF (first frame) or BMP of any channel count.
      image_size: pixels.
      aspect: `resize` stretches the image to the square, `crop` takes the largest square at its centre, `pad` fits the
        whole image in and fills up with black.
      interpolation: a method of tf.image.resize; antialiased where the image shrinks.

    Returns:
      float32 [batch, image_size, image_size, 3], RGB in [0, 255].
    """

    def one(image: tf.Tensor) -> tf.Tensor:
        decoded = decode(image)
        if aspect == "crop":
            decoded = _central_square(decoded)
        resize = tf.image.resize_with_pad if aspect == "pad" else _stretch
        resized = resize(decoded, image_size, image_size, method=interpolation, antialias=True)
        return tf.clip_by_value(resized, 0.0, 255.0)  # bicubic and Lanczos overshoot at edges

    return tf.map_fn(one, encoded, fn_output_signature=tf.TensorSpec([image_size, image_size, 3], tf.float32))


def _stretch(image: tf.Tensor, height: int, width: int, method: str, antialias: bool) -> tf.Tensor:
    return tf.image.resize(image, [height, width], method=method, antialias=antialias)


def _central_square(image: tf.Tensor) -> tf.Tensor:
    height, width = tf.unstack(tf.shape(image)[:2])
    side = tf.minimum(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def decode(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes one image.

    Args:
      encoded: string scalar, JPEG, PNG, GIF (first frame) or BMP of any channel count.

    Returns:
      uint8 [height, width, 3], RGB, upright: turned as the file's EXIF orientation says; an alpha channel is dropped,
      grey is repeated, 16 bits are cut to 8.

    Raises:
      tf.errors.InvalidArgumentError: when run on bytes that are no such image, or are cut short.
    """

    def bmp() -> tf.Tensor:  # decode_image asks BMP files to have the channel count already
        image = tf.image.decode_bmp(encoded)
        return tf.cond(tf.equal(tf.shape(image)[-1], 1), lambda: tf.repeat(image, 3, axis=-1), lambda: image[:, :, :3])

    def other() -> tf.Tensor:
        return tf.io.decode_image(encoded, channels=3, expand_animations=False)

    image = tf.cond(tf.equal(tf.strings.substr(encoded, 0, len(_BMP_MAGIC)), _BMP_MAGIC), bmp, other)
    return tf.ensure_shape(exif_orientation.upright(encoded, image), [None, None, 3])
