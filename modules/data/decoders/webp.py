"""WebP, RFC 9649. TensorFlow decodes it from version 2.18 on."""

from __future__ import annotations

import tensorflow as tf

from modules.data.decoders import encoded as reading
from modules.data.decoders import orientation, transparency

MAGIC = b"RIFF"
_CHUNKS = 12  # where the first chunk begins
_EXTENDED, _LOSSLESS = b"VP8X", b"VP8L"
_ANIMATED = 2  # a flag of the extended header
_SOUGHT = (b"EXIF", b"XMP ")
_REFUSED = "an animated WebP is not supported; save its first frame as an image of its own"


def decode(encoded: tf.Tensor, max_pixels: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes a WebP that is not animated; see `decoders.Decoder`."""
    kind = tf.strings.substr(encoded, _CHUNKS, 4)
    extended = tf.equal(kind, _EXTENDED)
    flags = tf.where(extended, reading.uint8s(encoded, 20, 1)[0], 0)
    # Some versions of TensorFlow's WebP reader end the process on an animation.
    still = reading.checked(encoded, tf.equal(flags & _ANIMATED, 0), _REFUSED)
    bounded = reading.within_bound(still, *_size(encoded, kind), max_pixels)
    image = transparency.on_background(tf.io.decode_image(bounded, channels=0, expand_animations=False))
    how = tf.cond(extended, lambda: orientation.orientation(*_metadata(encoded)), lambda: tf.constant(1))
    return image, how


def _size(encoded: tf.Tensor, kind: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Height and width."""
    low, middle, high = tf.unstack(tf.reshape(reading.uint8s(encoded, 24, 6), (2, 3)), axis=1)
    extended = 1 + low + middle * 256 + high * 65536
    both = reading.uint32(encoded, 21)
    lossless = tf.cast(1 + tf.stack([both & 0x3FFF, both // 0x4000 & 0x3FFF]), tf.int32)
    lossy = reading.uint16s(encoded, 26, 2) & 0x3FFF
    others = tf.where(tf.equal(kind, _LOSSLESS), lossless, lossy)
    width, height = tf.unstack(tf.where(tf.equal(kind, _EXTENDED), extended, others))
    return height, width


def _metadata(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """EXIF and XMP; empty where they are missing."""
    length = tf.strings.length(encoded)

    def more(at: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
        return at + 8 <= length

    def step(at: tf.Tensor, found: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        hits = tf.logical_and(tf.equal(tf.strings.substr(encoded, at, 4), _SOUGHT), tf.equal(found, 0))
        body = reading.int32(encoded, at + 4)
        ends = tf.logical_or(body < 0, body > length)
        return tf.where(ends, length, at + 8 + body + body % 2), tf.where(hits, at, found)

    _, found = tf.while_loop(more, step, (tf.constant(_CHUNKS), tf.zeros(len(_SOUGHT), tf.int32)))
    exif, xmp = (
        reading.part(encoded, at + 8, tf.where(at > 0, reading.int32(encoded, at + 4), 0)) for at in tf.unstack(found)
    )
    return exif, xmp
