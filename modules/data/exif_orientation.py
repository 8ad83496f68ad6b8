"""EXIF orientation as TensorFlow operations: part of the graph, so that training, evaluation and serving turn an image
the same way.

TensorFlow's decoders return pixels as they are stored. A camera that was held upright stores them rotated, and notes
the rotation in the tag Orientation. Layouts: Exif 2.32 (CIPA DC-008), 4.5 and 4.6.4; JPEG's segments in ITU-T T.81,
B.1; PNG's chunk in https://www.w3.org/TR/png-3/#11eXIf.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

_TAG = 0x0112
_ENTRY = 12  # bytes of an entry of a TIFF directory
_EXIF = b"Exif\0\0"
_APP1, _START_OF_SCAN, _END_OF_IMAGE = 0xE1, 0xDA, 0xD9
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"


def upright(encoded: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
    """Rotates and mirrors a decoded image as the EXIF tag of its file asks for.

    Args:
      encoded: string scalar, the file. Files that are neither JPEG nor PNG, and damaged tags, leave the image as it is.
      image: [height, width, channels], as stored.

    Returns:
      the same values, [height, width, channels] or [width, height, channels].
    """
    how = orientation(encoded)
    return tf.cond(tf.equal(how, 1), lambda: image, lambda: _turned(image, how))


def orientation(encoded: tf.Tensor) -> tf.Tensor:
    """The tag Orientation of a JPEG or PNG file, int32 scalar from 1 to 8; 1 if there is none.

    Args:
      encoded: string scalar.
    """
    nowhere = lambda: (tf.constant(0), tf.constant(0))  # noqa: E731
    start, size = tf.case(
        [
            (_begins(encoded, 0, _JPEG), lambda: _in_jpeg(encoded)),
            (_begins(encoded, 0, _PNG), lambda: _in_png(encoded)),
        ],
        default=nowhere,
    )
    return _in_tiff(tf.strings.substr(encoded, start, size))


def _turned(image: tf.Tensor, how: tf.Tensor) -> tf.Tensor:
    """2 mirrors left and right, 4 top and bottom, 3 both; 6, 8 and 7 likewise the transposed image, 5 transposes."""
    image = tf.cond(how >= 5, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
    image = tf.cond(_one_of(how, (2, 3, 6, 7)), lambda: tf.reverse(image, [1]), lambda: image)
    return tf.cond(_one_of(how, (3, 4, 7, 8)), lambda: tf.reverse(image, [0]), lambda: image)


def _one_of(how: tf.Tensor, which: tuple[int, ...]) -> tf.Tensor:
    return tf.reduce_any(tf.equal(how, tf.constant(which)))


def _in_jpeg(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Where the TIFF block of the first Exif segment begins, and its bytes; 0, 0 if there is none."""
    length = tf.strings.length(encoded)

    def step(at: tf.Tensor, start: tf.Tensor, size: tf.Tensor) -> tuple[tf.Tensor, ...]:
        head = _bytes(encoded, at, 4)
        body = head[2] * 256 + head[3]
        is_exif = tf.logical_and(tf.equal(head[1], _APP1), _begins(encoded, at + 4, _EXIF))
        padding = tf.equal(head[1], 0xFF)  # a marker may be preceded by any number of these
        ends = tf.logical_or(tf.not_equal(head[0], 0xFF), _one_of(head[1], (_START_OF_SCAN, _END_OF_IMAGE)))
        following = tf.where(ends, length, at + tf.where(padding, 1, 2 + body))
        return following, tf.where(is_exif, at + 10, start), tf.where(is_exif, body - 8, size)

    return _searched(encoded, len(_JPEG), 4, step)


def _in_png(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Where the eXIf chunk's content begins, and its bytes; 0, 0 if there is none."""
    length = tf.strings.length(encoded)

    def step(at: tf.Tensor, start: tf.Tensor, size: tf.Tensor) -> tuple[tf.Tensor, ...]:
        head = _bytes(encoded, at, 4)
        body = ((head[0] * 256 + head[1]) * 256 + head[2]) * 256 + head[3]
        is_exif = _begins(encoded, at + 4, b"eXIf")
        # A length beyond the file, or beyond int32, ends the search.
        following = tf.where(tf.logical_or(body < 0, body > length), length, at + 12 + body)
        return following, tf.where(is_exif, at + 8, start), tf.where(is_exif, body, size)

    return _searched(encoded, len(_PNG), 12, step)


def _searched(
    encoded: tf.Tensor, begin: int, least: int, step: Callable[..., tuple[tf.Tensor, ...]]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Goes from part to part of a file until one is found.

    Args:
      encoded: the file.
      begin: where its first part begins.
      least: bytes that a part has at least.
      step: from where a part begins, and what has been found, to where the next one begins, and what has been found:
        a start and a size; 0, 0 for nothing.
    """

    def more(at: tf.Tensor, start: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        del size
        return tf.logical_and(tf.equal(start, 0), at + least <= tf.strings.length(encoded))

    _, start, size = tf.while_loop(more, step, (begin, 0, 0))
    return start, tf.maximum(size, 0)


def _in_tiff(block: tf.Tensor) -> tf.Tensor:
    """The tag's value in the first directory of a TIFF block."""
    length = tf.strings.length(block)
    little = _begins(block, 0, b"II")
    known = tf.logical_and(length >= 8, tf.logical_or(little, _begins(block, 0, b"MM")))

    def directory() -> tf.Tensor:
        four = _bytes(block, 4, 4)
        at = _number(tf.where(little, four, four[::-1]))
        fits = tf.logical_and(at >= 8, at <= length - 2)
        return tf.cond(fits, lambda: entries(at), lambda: tf.constant(1))

    def entries(at: tf.Tensor) -> tf.Tensor:
        count = _short(_bytes(block, at, 2), little)
        whole = tf.minimum(count, (length - at - 2) // _ENTRY) * _ENTRY
        rows = tf.reshape(_decoded(tf.strings.substr(block, at + 2, whole)), (-1, _ENTRY))
        tags = _short(tf.transpose(rows)[:2], little)
        values = tf.boolean_mask(_short(tf.transpose(rows)[8:10], little), tf.equal(tags, _TAG))
        return tf.concat([values, [1]], axis=0)[0]

    found = tf.cond(known, directory, lambda: tf.constant(1))
    return tf.where(tf.logical_and(found >= 1, found <= 8), found, 1)


def _begins(encoded: tf.Tensor, at: tf.Tensor | int, with_bytes: bytes) -> tf.Tensor:
    fits = at + len(with_bytes) <= tf.strings.length(encoded)
    start = tf.where(fits, at, 0)
    return tf.logical_and(fits, tf.equal(tf.strings.substr(encoded, start, len(with_bytes)), with_bytes))


def _bytes(encoded: tf.Tensor, at: tf.Tensor | int, count: int) -> tf.Tensor:
    """int32 [count]; they must be there."""
    return tf.ensure_shape(_decoded(tf.strings.substr(encoded, at, count)), (count,))


def _decoded(text: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.io.decode_raw(text, tf.uint8), tf.int32)


def _short(two: tf.Tensor, little: tf.Tensor) -> tf.Tensor:
    return tf.where(little, two[1] * 256 + two[0], two[0] * 256 + two[1])


def _number(four: tf.Tensor) -> tf.Tensor:
    """Of four bytes, the least first; negative if beyond int32."""
    return ((four[3] * 256 + four[2]) * 256 + four[1]) * 256 + four[0]
