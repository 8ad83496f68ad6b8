"""BMP, https://learn.microsoft.com/en-us/windows/win32/gdi/bitmap-storage.

TensorFlow returns the bytes of a pixel, whatever they mean. The header says it.
"""

from __future__ import annotations

import tensorflow as tf

from modules.data.decoders import encoded as reading
from modules.data.decoders import transparency

MAGIC = b"BM"
_UNCOMPRESSED, _MASKS = 0, 3
_FILE_HEADER, _INFO_HEADER, _MASKS_WITH_ALPHA = 14, 40, 56
_MASK_OF_BYTE = (b"\xff\0\0\0", b"\0\xff\0\0", b"\0\0\xff\0", b"\0\0\0\xff")
_CHANNEL_OF_BYTE = (2, 1, 0, 3)  # in what TensorFlow returns
_REFUSED = (
    "a BMP of this kind is not supported: a palette of other than 8 bits, 16 bits per pixel, compression, an OS/2 "
    "header, or masks of other than whole bytes; save the image as PNG"
)


def decode(encoded: tf.Tensor, max_pixels: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes a BMP of 24 or 32 bits per pixel, or of 8 bits with a palette; see `decoders.Decoder`.

    The orientation is 1: a BMP has no metadata.
    """
    header, width, height = (reading.int32(encoded, at) for at in (14, 18, 22))
    bits, compression = reading.uint16s(encoded, 28, 1)[0], reading.int32(encoded, 30)
    plain, masked = tf.equal(compression, _UNCOMPRESSED), tf.equal(compression, _MASKS)
    is_palette, is_true_colour = tf.equal(bits, 8), tf.equal(bits, 24)
    known = tf.logical_or(
        tf.logical_and(plain, tf.logical_or(is_palette, is_true_colour)),
        tf.logical_and(tf.equal(bits, 32), tf.logical_or(plain, masked)),
    )
    supported = reading.checked(encoded, tf.logical_and(known, header >= _INFO_HEADER), _REFUSED)
    bounded = reading.within_bound(supported, tf.abs(height), width, max_pixels)
    pixels = tf.io.decode_bmp(bounded)
    image = tf.cond(
        is_palette,
        lambda: tf.gather(_palette(encoded, header), tf.cast(pixels[:, :, 0], tf.int32)),
        lambda: tf.cond(masked, lambda: _masked(encoded, header, pixels), lambda: pixels[:, :, :3]),
    )
    return image, tf.constant(1)


def _palette(encoded: tf.Tensor, header: tf.Tensor) -> tf.Tensor:
    """uint8 [256, 3]; black beyond the palette's end."""
    colours = reading.int32(encoded, 46)
    colours = tf.where(tf.logical_and(colours > 0, colours <= 256), colours, 256)
    entries = tf.reshape(reading.uint8s(encoded, _FILE_HEADER + header, 4 * 256), (256, 4))[:, 2::-1]
    return tf.cast(tf.where(tf.range(256)[:, tf.newaxis] < colours, entries, 0), tf.uint8)


def _masked(encoded: tf.Tensor, header: tf.Tensor, pixels: tf.Tensor) -> tf.Tensor:
    """The channels in the order that the masks of red, green, blue and, in longer headers, opacity give."""
    start = _FILE_HEADER + _INFO_HEADER
    masks = tf.stack([tf.strings.substr(encoded, start + 4 * channel, 4) for channel in range(4)])
    has_opacity = tf.logical_and(header >= _MASKS_WITH_ALPHA, tf.not_equal(masks[3], b"\0\0\0\0"))
    used = masks[: tf.where(has_opacity, 4, 3)]
    is_byte = tf.equal(used[:, tf.newaxis], tf.constant(_MASK_OF_BYTE))
    whole = tf.reduce_all(tf.reduce_any(is_byte, axis=1))
    which = tf.gather(tf.constant(_CHANNEL_OF_BYTE), tf.argmax(tf.cast(is_byte, tf.int32), axis=1))
    which = reading.checked(which, whole, _REFUSED)
    return transparency.on_background(tf.gather(pixels, which, axis=2))
