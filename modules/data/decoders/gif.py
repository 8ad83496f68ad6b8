"""GIF, https://www.w3.org/Graphics/GIF/spec-gif89a.txt: its first frame, on the canvas.

TensorFlow decodes every frame, which lets a file of 2 MB take gigabytes, and knows neither the place of a frame nor
transparency. So it is handed a file of the first frame alone, with a palette that makes each colour its own index.
"""

from __future__ import annotations

import tensorflow as tf

from modules.data.decoders import encoded as reading
from modules.data.decoders import transparency

MAGIC = b"GIF8"
_SCREEN, _SCREEN_FLAGS = 13, 10  # bytes of the header and the screen's descriptor; where its flags are
_EXTENSION, _DESCRIPTOR, _CONTROL = 0x21, 0x2C, 0xF9
_IDENTITY = bytes(value for index in range(256) for value in (index,) * 3)
_MAX_STEPS = 100_000  # from block to block; runs of blocks of one size are one step
_CUT = "the GIF ends before its first frame does"


def decode(encoded: tf.Tensor, max_pixels: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes the first frame of a GIF; see `decoders.Decoder`. The pixels that count are those of the canvas.

    Pixels of the canvas that the frame leaves out are transparent if the frame has transparency. Otherwise they have
    the palette's first colour, as in Pillow. The orientation is 1: a GIF has no EXIF.
    """
    raw = tf.io.decode_raw(encoded, tf.uint8)
    at, transparent = _find_frame(encoded, raw)
    left, top, width, height = tf.unstack(reading.uint16s(encoded, at + 1, 4))
    screen_width, screen_height = tf.unstack(reading.uint16s(encoded, 6, 2))
    canvas_width, canvas_height = tf.maximum(screen_width, left + width), tf.maximum(screen_height, top + height)
    flags = reading.uint8s(encoded, at + 9, 1)[0]
    colours = _colours(flags)
    data = at + 10 + 3 * colours
    end = _end_of_blocks(raw, data + 1)
    bounded = reading.within_bound(encoded, canvas_height, canvas_width, max_pixels)
    whole = reading.checked(bounded, end <= tf.size(raw), _CUT)
    size = tf.strings.substr(whole, at + 5, 4)
    frame = [b",\0\0\0\0", size, tf.where((flags & 64) > 0, b"\x40", b"\0"), tf.strings.substr(whole, data, end - data)]
    alone = tf.strings.join([b"GIF89a", size, b"\xf7\0\0", _IDENTITY, *frame, b";"])
    indices = tf.cast(tf.io.decode_gif(alone)[0, :, :, 0], tf.int32)
    below, beside = canvas_height - top - height, canvas_width - left - width
    on_canvas = tf.pad(indices, [[top, below], [left, beside]], constant_values=tf.maximum(transparent, 0))
    shared = _colours(reading.uint8s(encoded, _SCREEN_FLAGS, 1)[0])
    palette = _palette(encoded, tf.where(colours > 0, at + 10, _SCREEN), tf.where(colours > 0, colours, shared))
    is_transparent = tf.equal(tf.range(256), transparent)[:, tf.newaxis]
    palette = tf.where(is_transparent, tf.constant(transparency.BACKGROUND, tf.uint8), palette)
    return tf.gather(palette, on_canvas), tf.constant(1)


def _colours(flags: tf.Tensor) -> tf.Tensor:
    """Entries of the palette of a frame, or of all frames; 0 if there is none."""
    return tf.where(flags >= 128, 2 ** (1 + (flags & 7)), 0)


def _palette(encoded: tf.Tensor, at: tf.Tensor, colours: tf.Tensor) -> tf.Tensor:
    """uint8 [256, 3]; shades of grey beyond the palette's end, as in Pillow."""
    entries = tf.reshape(reading.uint8s(encoded, at, 3 * 256), (256, 3))
    index = tf.range(256)[:, tf.newaxis]
    return tf.cast(tf.where(index < colours, entries, index), tf.uint8)


def _find_frame(encoded: tf.Tensor, raw: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Where the first frame's descriptor begins, and the index of its transparent colour, -1 for none."""

    def more(at: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
        return tf.equal(reading.uint8s(encoded, at, 1)[0], _EXTENSION)

    def step(at: tf.Tensor, transparent: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        _, label, _, flags, _, _, index = tf.unstack(reading.uint8s(encoded, at, 7))
        has_index = tf.logical_and(tf.equal(label, _CONTROL), tf.equal(flags & 1, 1))
        return _end_of_blocks(raw, at + 2), tf.where(has_index, index, transparent)

    start = _SCREEN + 3 * _colours(reading.uint8s(encoded, _SCREEN_FLAGS, 1)[0])
    at, transparent = tf.while_loop(more, step, (start, tf.constant(-1)), maximum_iterations=_MAX_STEPS)
    is_frame = tf.equal(reading.uint8s(encoded, at, 1)[0], _DESCRIPTOR)
    return reading.checked(at, is_frame, "the GIF has no frame, or is damaged before it"), transparent


def _end_of_blocks(raw: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """The first byte behind a chain of blocks, each preceded by its size, that a size of 0 ends.

    Nearly all blocks of a file have one size, 255, so that a whole run of them is one step.

    Args:
      raw: uint8 [bytes].
      start: of the chain.

    Returns:
      int32 scalar, greater than the file's size if the chain does not end.
    """
    length = tf.size(raw)

    def more(at: tf.Tensor, ended: tf.Tensor) -> tf.Tensor:
        return tf.logical_and(tf.logical_not(ended), at < length)

    def step(at: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        size = tf.cast(raw[at], tf.int32)
        others = tf.ensure_shape(tf.not_equal(raw[at :: size + 1], raw[at]), [None])
        run = tf.where(tf.reduce_any(others), tf.argmax(others, output_type=tf.int32), tf.size(others))
        ended = tf.equal(size, 0)
        return at + tf.where(ended, 1, run * (size + 1)), ended

    at, ended = tf.while_loop(more, step, (start, tf.constant(False)), maximum_iterations=_MAX_STEPS)
    return tf.where(ended, at, length + 1)
