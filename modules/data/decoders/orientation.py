"""Orientation as TensorFlow operations: part of the graph, so that training, evaluation and serving turn an image the
same way.

TensorFlow's decoders return pixels as they are stored. A camera that was held upright stores them rotated, and notes
the rotation in the EXIF tag Orientation; programs that edit photos may note it in XMP only. As in Pillow, XMP counts if
EXIF has no such tag. Layouts: Exif 2.32 (CIPA DC-008), 4.5 and 4.6.4; XMP part 2, tiff:Orientation.
"""

from __future__ import annotations

import tensorflow as tf

from modules.data.decoders import encoded as reading

_TAG = 0x0112
_ENTRY = 12  # bytes of an entry of a TIFF directory
_EXIF = b"Exif\0\0"
_SHORTS, _LONGS = (3, 8), (4, 9, 13)  # types of a TIFF entry that hold whole numbers of two and of four bytes
_IN_XMP = r'(?s)^\C*?tiff:Orientation(?:="|>)([0-9])\C*$'


def upright(image: tf.Tensor, how: tf.Tensor) -> tf.Tensor:
    """Rotates and mirrors a decoded image.

    Args:
      image: [height, width, channels], as stored.
      how: int32 scalar, 1 to 8, see `orientation`.

    Returns:
      the same values, [height, width, channels] or [width, height, channels].
    """
    return tf.cond(tf.equal(how, 1), lambda: image, lambda: _turned(image, how))


@reading.traced_once(tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.string))
def orientation(exif: tf.Tensor, xmp: tf.Tensor) -> tf.Tensor:
    """The orientation that a file's metadata names, int32 scalar from 1 to 8; 1 if they name none, or are damaged.

    Args:
      exif: string scalar, a TIFF block, which the mark of an EXIF segment may precede; empty if there is none.
      xmp: string scalar, an XMP packet; empty if there is none.
    """
    mark = tf.where(reading.starts_with(exif, _EXIF), len(_EXIF), 0)
    in_exif = _in_tiff(reading.part(exif, mark, 1 << 30))
    found = tf.where(in_exif < 0, _in_xmp(xmp), in_exif)
    return tf.where(tf.logical_and(found >= 1, found <= 8), found, 1)


def _turned(image: tf.Tensor, how: tf.Tensor) -> tf.Tensor:
    """2 mirrors left and right, 4 top and bottom, 3 both; 6, 8 and 7 likewise the transposed image, 5 transposes."""
    image = tf.transpose(image, tf.where(how >= 5, (1, 0, 2), (0, 1, 2)))
    mirrored = tf.stack([_one_of(how, (3, 4, 7, 8)), _one_of(how, (2, 3, 6, 7)), False])
    return tf.raw_ops.Reverse(tensor=image, dims=mirrored)  # tf.reverse takes axes, whose number cannot depend on data


def _one_of(how: tf.Tensor, which: tuple[int, ...]) -> tf.Tensor:
    return tf.reduce_any(tf.equal(how, tf.constant(which)))


def _in_xmp(xmp: tf.Tensor) -> tf.Tensor:
    """int32 scalar; 0 if it is not there."""
    digit = tf.strings.regex_replace(xmp, _IN_XMP, r"\1", replace_global=False)
    return tf.strings.to_number(tf.where(tf.strings.regex_full_match(xmp, _IN_XMP), digit, "0"), tf.int32)


def _in_tiff(block: tf.Tensor) -> tf.Tensor:
    """The tag's value in the first directory of a TIFF block, int32 scalar; -1 if the tag is not there."""
    length, little = tf.strings.length(block), reading.starts_with(block, b"II")
    known = tf.logical_and(length >= 8, tf.logical_or(little, reading.starts_with(block, b"MM")))
    at = tf.where(little, reading.int32(block, 4), reading.int32(block, 4, little=False))
    at = tf.where(tf.logical_and(known, tf.logical_and(at >= 8, at <= length - 2)), at, length)  # no entries there
    count = _number(reading.uint8s(block, at, 2), little)
    whole = tf.clip_by_value((length - at - 2) // _ENTRY, 0, count) * _ENTRY
    raw = tf.io.decode_raw(reading.part(block, at + 2, whole), tf.uint8)
    columns = tf.transpose(tf.reshape(tf.cast(raw, tf.int32), (-1, _ENTRY)))
    is_tag = tf.equal(_number(columns[:2], little), _TAG)
    kind, short, long = (_number(columns[start:end], little) for start, end in ((2, 4), (8, 10), (8, 12)))
    value = tf.where(_each_of(kind, _SHORTS), short, tf.where(_each_of(kind, _LONGS), long, 0))
    return tf.concat([[-1], tf.boolean_mask(value, is_tag)], axis=0)[-1]


def _each_of(kind: tf.Tensor, which: tuple[int, ...]) -> tf.Tensor:
    return tf.reduce_any(tf.equal(kind[:, tf.newaxis], tf.constant(which)), axis=-1)


def _number(columns: tf.Tensor, little: tf.Tensor) -> tf.Tensor:
    """Of bytes [2 or 4, …]; a number beyond int32 becomes another one that means no orientation."""
    number = tf.zeros_like(columns[0])
    for column in tf.unstack(tf.where(little, columns[::-1], columns)):
        number = number * 256 + column
    return number
