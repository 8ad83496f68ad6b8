"""PNG, https://www.w3.org/TR/png-3/."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from modules.data.decoders import encoded as reading
from modules.data.decoders import orientation, sixteen_bits, transparency

MAGIC = b"\x89PNG\r\n\x1a\n"
_GREY_ALPHA, _RGB_ALPHA = 4, 6  # colour types
RAW_PROFILE, XMP = b"Raw profile type exif\0", b"XML:com.adobe.xmp\0"  # keywords; ImageMagick writes the first
# What is looked for in a chunk, and where from the chunk's start: 4 is its type, 8 its content.
_SOUGHT = ((4, b"eXIf"), (4, b"tRNS"), (8, RAW_PROFILE), (8, XMP))
_WINDOW = 8 + max(map(len, (RAW_PROFILE, XMP)))
# Zlib makes at most 1032 times as much of its input. Metadata that say more than how the picture is turned are long,
# but seldom compressed.
_MAX_COMPRESSED = 1 << 17


class Chunks(NamedTuple):
    """Where chunks begin, int32 scalars; 0 for those that are missing.

    Attributes:
      exif, raw_profile, xmp: metadata.
      key: says which colour, or which entries of the palette, are transparent.
    """

    exif: tf.Tensor
    key: tf.Tensor
    raw_profile: tf.Tensor
    xmp: tf.Tensor


def decode(encoded: tf.Tensor, max_pixels: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes a PNG; see `decoders.Decoder`."""
    width, height = (reading.int32(encoded, at, little=False) for at in (16, 20))
    bits, colour_type = tf.unstack(reading.uint8s(encoded, 24, 2))
    chunks = find_chunks(encoded)
    bounded = reading.within_bound(encoded, height, width, max_pixels)
    has_alpha = tf.logical_or(tf.reduce_any(tf.equal(colour_type, (_GREY_ALPHA, _RGB_ALPHA))), chunks.key > 0)
    image = tf.cond(
        tf.equal(bits, 16),
        lambda: transparency.on_background(sixteen_bits.to_eight(tf.io.decode_png(bounded, 4, tf.uint16))),
        lambda: tf.cond(
            has_alpha,
            lambda: transparency.on_background(tf.io.decode_png(bounded, 4)),
            lambda: tf.io.decode_png(bounded, 3),
        ),
    )
    return image, read_orientation(encoded, chunks)


def read_orientation(encoded: tf.Tensor, chunks: Chunks) -> tf.Tensor:
    """The orientation, int32 scalar, 1 to 8.

    Args:
      encoded: the file.
      chunks: of the file.
    """

    def from_metadata() -> tf.Tensor:
        in_chunk, in_text = lambda: _body(encoded, chunks.exif), lambda: _profile(encoded, chunks.raw_profile)
        block = tf.cond(chunks.exif > 0, in_chunk, in_text)
        return orientation.orientation(block, _text(encoded, chunks.xmp, len(XMP)))

    return tf.cond(chunks.exif + chunks.raw_profile + chunks.xmp > 0, from_metadata, lambda: tf.constant(1))


def find_chunks(encoded: tf.Tensor) -> Chunks:
    """Finds the last chunk of each kind of `_SOUGHT`."""
    length = tf.strings.length(encoded)
    places, marks = [place for place, _ in _SOUGHT], [mark for _, mark in _SOUGHT]

    def more(at: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
        return at + 12 <= length

    def step(at: tf.Tensor, found: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        window = tf.strings.substr(encoded, at, _WINDOW)
        hits = tf.equal(tf.strings.substr(window, places, [len(mark) for mark in marks]), marks)
        body = reading.int32(window, 0, little=False)
        # A length beyond the file, or beyond int32, ends the search.
        following = tf.where(tf.logical_or(body < 0, body > length), length, at + 12 + body)
        return following, tf.where(hits, at, found)

    _, found = tf.while_loop(more, step, (tf.constant(len(MAGIC)), tf.zeros(len(_SOUGHT), tf.int32)))
    return Chunks(*tf.unstack(found))


def _body(encoded: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
    return reading.part(encoded, at + 8, reading.int32(encoded, at, little=False))


def _profile(encoded: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
    """The EXIF block that a text chunk holds as hexadecimal digits, behind three lines; empty if there is none."""

    def block() -> tf.Tensor:
        text = tf.strings.regex_replace(_text(encoded, at, len(RAW_PROFILE)), r"^(?:[^\n]*\n){3}", "")
        digits = tf.strings.lower(tf.strings.regex_replace(text, r"[^0-9a-fA-F]", ""))
        digits = tf.strings.substr(digits, 0, tf.strings.length(digits) // 2 * 2)
        values = tf.cast(tf.io.decode_raw(digits, tf.uint8), tf.int32)
        high, low = tf.unstack(tf.reshape(tf.where(values > 57, values - 87, values - 48), (-1, 2)), axis=1)
        every_byte = tf.constant([bytes((value,)) for value in range(256)])
        return tf.strings.reduce_join(tf.gather(every_byte, high * 16 + low))

    return tf.cond(at > 0, block, lambda: tf.constant(b""))


@reading.traced_once(tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int32), tf.TensorSpec([], tf.int32))
def _text(encoded: tf.Tensor, at: tf.Tensor, keyword: tf.Tensor) -> tf.Tensor:
    """The text of a tEXt, zTXt or iTXt chunk; empty if there is none.

    Args:
      encoded: the file.
      at: where the chunk begins; 0 for none.
      keyword: bytes of its keyword, the zero behind it included.
    """
    kind, text = reading.part(encoded, at + 4, 4), reading.part(_body(encoded, at), keyword, 1 << 30)
    is_ztxt, is_itxt = tf.equal(kind, b"zTXt"), tf.equal(kind, b"iTXt")
    # In iTXt, two flags, a language and a translated keyword come first; in zTXt a flag.
    international = tf.strings.regex_replace(text, r"^\C\C[^\x00]*\x00[^\x00]*\x00", "", replace_global=False)
    content = tf.where(is_itxt, international, tf.where(is_ztxt, reading.part(text, 1, 1 << 30), text))
    compressed = tf.logical_or(is_ztxt, tf.logical_and(is_itxt, reading.starts_with(text, b"\1")))
    found = tf.cond(tf.logical_and(at > 0, compressed), lambda: _inflated(content), lambda: content)
    return tf.where(at > 0, found, b"")


def _inflated(compressed: tf.Tensor) -> tf.Tensor:
    short = tf.strings.length(compressed) <= _MAX_COMPRESSED
    message = f"the PNG's EXIF or XMP has more than {_MAX_COMPRESSED} compressed bytes; save the image without metadata"
    return tf.io.decode_compressed(reading.checked(compressed, short, message), "ZLIB")
