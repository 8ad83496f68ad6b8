"""JPEG: ITU-T T.81, B.1 for its segments."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from modules.data.decoders import encoded as reading
from modules.data.decoders import orientation

MAGIC = b"\xff\xd8"
_EXIF, _XMP, _ADOBE = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"Adobe"
_SIGNATURES = (_EXIF, _XMP, _ADOBE)
_LONGEST = max(map(len, _SIGNATURES))
_OTHER, _APP1, _APP14, _END = range(4)  # kinds of markers
_SOUGHT = (_APP1, _APP1, _APP14)  # kinds of the segments with these signatures
_KIND_OF_MARKER = [_OTHER] * 256
# 0xD9 is the end of the image, 0xDA the start of a scan.
for _marker, _kind in ((0xE1, _APP1), (0xEE, _APP14), (0xD9, _END), (0xDA, _END)):
    _KIND_OF_MARKER[_marker] = _kind
_PADDING = 0xFFFF
_METADATA = r"(?s)\C*?(?:Exif\x00\x00|http://ns\.adobe\.com/xap/1\.0/\x00)\C*"  # _EXIF or _XMP
_SEARCHED = 1 << 18  # bytes; to search more takes longer than the loop over the segments
# Without Adobe's segment, TensorFlow takes four channels for what they are, Pillow for their inverse, which is what
# programs write. The segment says: CMYK, inverted.
_ADOBE_SEGMENT = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0"


class Segments(NamedTuple):
    """Where segments begin, int32 scalars; 0 for those that are missing.

    Attributes:
      exif, xmp: metadata.
      adobe: says how colours are stored.
    """

    exif: tf.Tensor
    xmp: tf.Tensor
    adobe: tf.Tensor


def decode(encoded: tf.Tensor, max_pixels: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes a JPEG; see `decoders.Decoder`.

    The loop over the segments takes as long as a small picture's pixels, so it runs only where a segment may matter.
    """
    height, width, channels = tf.unstack(tf.io.extract_jpeg_shape(encoded))
    four = tf.equal(channels, 4)
    segments = tf.cond(
        tf.logical_or(four, _may_have_metadata(encoded)),
        lambda: find_segments(encoded),
        lambda: Segments(*(tf.constant(0) for _ in _SIGNATURES)),
    )
    bounded = reading.within_bound(encoded, height, width, max_pixels)
    undeclared = tf.logical_and(four, tf.equal(segments.adobe, 0))
    segment = tf.where(undeclared, _ADOBE_SEGMENT, b"")
    declared = tf.strings.join([MAGIC, segment, reading.part(bounded, len(MAGIC), 1 << 30)])
    return tf.io.decode_jpeg(declared, channels=3), read_orientation(encoded, segments)


def _may_have_metadata(encoded: tf.Tensor) -> tf.Tensor:
    """False only if the file has no signature of EXIF or XMP anywhere."""
    begin = tf.strings.substr(encoded, 0, _SEARCHED)
    return tf.logical_or(tf.strings.length(encoded) > _SEARCHED, tf.strings.regex_full_match(begin, _METADATA))


def read_orientation(encoded: tf.Tensor, segments: Segments) -> tf.Tensor:
    """The orientation, int32 scalar, 1 to 8.

    Args:
      encoded: the file.
      segments: of the file.
    """
    return tf.cond(
        segments.exif + segments.xmp > 0,
        lambda: orientation.orientation(_content(encoded, segments.exif, _EXIF), _content(encoded, segments.xmp, _XMP)),
        lambda: tf.constant(1),
    )


def find_segments(encoded: tf.Tensor) -> Segments:
    """Finds the segments before the first scan.

    As in Pillow, the first EXIF segment counts, and the last one with XMP.
    """
    length, first_counts = tf.strings.length(encoded), tf.constant((True, False, True))

    def more(at: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
        return at + 4 <= length

    def step(at: tf.Tensor, found: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        window = tf.strings.substr(encoded, at, 4 + _LONGEST)
        marker, size = tf.unstack(reading.uint16s(window, 0, 2, little=False))
        kind = tf.gather(_KIND_OF_MARKER, marker & 0xFF)
        contents = tf.strings.substr(window, [4] * len(_SIGNATURES), [len(signature) for signature in _SIGNATURES])
        hits = tf.logical_and(tf.equal(kind, _SOUGHT), tf.equal(contents, _SIGNATURES))
        is_new = tf.logical_not(tf.logical_and(first_counts, found > 0))
        ends = tf.logical_or(marker < 0xFF00, tf.equal(kind, _END))
        # A marker may be preceded by any number of padding bytes.
        following = tf.where(ends, length, at + tf.where(tf.equal(marker, _PADDING), 1, 2 + size))
        return following, tf.where(tf.logical_and(hits, is_new), at, found)

    _, found = tf.while_loop(more, step, (tf.constant(len(MAGIC)), tf.zeros(len(_SOUGHT), tf.int32)))
    return Segments(*tf.unstack(found))


def _content(encoded: tf.Tensor, at: tf.Tensor, signature: bytes) -> tf.Tensor:
    """What follows the signature of a segment; empty if there is no such segment."""
    size = reading.uint16s(encoded, at + 2, 1, little=False)[0] - 2 - len(signature)
    return reading.part(encoded, at + 4 + len(signature), tf.where(at > 0, size, 0))
