"""The graph turns an image as Pillow does, whatever bytes the file holds."""

import io

import numpy as np
import pytest
import tensorflow as tf
from drawing import encode, stripes
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from modules.data import decoding
from modules.data.decoders import jpeg, png

TAG = 0x0112
DECODE = tf.function(decoding.decode, input_signature=[tf.TensorSpec([], tf.string)])


def _orientation(encoded: tf.Tensor) -> tf.Tensor:
    return tf.cond(
        tf.equal(tf.strings.substr(encoded, 0, 2), jpeg.MAGIC),
        lambda: jpeg.read_orientation(encoded, jpeg.find_segments(encoded)),
        lambda: png.read_orientation(encoded, png.find_chunks(encoded)),
    )


ORIENTATION = tf.function(_orientation, input_signature=[tf.TensorSpec([], tf.string)], autograph=False)


def tagged(kind: str, value: int, order: str = "II", before: bytes = b"") -> bytes:
    """An oblong image with the tag; `order` is the TIFF block's, `before` stands in front of a JPEG's Exif segment."""
    endian = {"II": "little", "MM": "big"}[order]

    def number(content: int, size: int) -> bytes:
        return content.to_bytes(size, endian)

    other = number(0x010F, 2) + number(2, 2) + number(4, 4) + b"abc\0"
    entry = number(TAG, 2) + number(3, 2) + number(1, 4) + number(value, 2) + b"\0\0"
    block = order.encode() + number(42, 2) + number(8, 4) + number(2, 2) + other + entry + number(0, 4)
    plain = encode(stripes(40)[:24], kind, **({"quality": 95} if kind == "JPEG" else {}))
    if kind == "PNG":
        buffer = io.BytesIO()
        Image.open(io.BytesIO(plain)).save(buffer, "PNG", exif=b"Exif\0\0" + block)
        return buffer.getvalue()
    segment = b"\xff\xe1" + (len(block) + 8).to_bytes(2, "big") + b"Exif\0\0" + block
    return plain[:2] + before + segment + plain[2:]


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("order", ["II", "MM"])
@pytest.mark.parametrize("value", range(1, 9))
def test_each_orientation_is_as_pillow_has_it(kind, order, value):
    encoded = tagged(kind, value, order)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(encoded)))
    decoded = DECODE(tf.constant(encoded)).numpy()
    assert decoded.shape == (*upright.size[::-1], 3)
    assert (decoded.shape[0] > decoded.shape[1]) == (value >= 5)
    np.testing.assert_allclose(decoded.astype(int), np.asarray(upright.convert("RGB")).astype(int), atol=3)


def test_other_segments_and_padding_may_come_first():
    comment = b"\xff\xfe" + (12).to_bytes(2, "big") + b"0123456789"
    xmp = b"\xff\xe1" + (9).to_bytes(2, "big") + b"http://"
    assert ORIENTATION(tf.constant(tagged("JPEG", 6, before=comment + xmp + b"\xff\xff"))).numpy() == 6


@pytest.mark.parametrize("metadata", ["EXIF", "XMP"])
@pytest.mark.parametrize("before", [0, 300_000], ids=["early", "late"])
def test_the_decoder_finds_the_tag_wherever_it_is(metadata, before):
    """It looks for metadata before it reads the segments one after the other."""
    comments = (b"\xff\xfe" + (60_002).to_bytes(2, "big") + bytes(60_000)) * (before // 60_000)
    encoded = tagged("JPEG", 6 if metadata == "EXIF" else 1, before=comments)
    if metadata == "XMP":
        packet = b'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="6"/>'
        start = encoded.index(b"\xff\xe1")  # instead of the EXIF segment
        end = start + 2 + int.from_bytes(encoded[start + 2 : start + 4], "big")
        encoded = encoded[:start] + b"\xff\xe1" + (len(packet) + 2).to_bytes(2, "big") + packet + encoded[end:]
    assert DECODE(tf.constant(encoded)).shape == (40, 24, 3)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_a_value_that_means_nothing_turns_nothing(value):
    assert ORIENTATION(tf.constant(tagged("JPEG", value))).numpy() == 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_an_image_without_the_tag_stays_as_it_is(kind):
    encoded = encode(stripes(40)[:24], kind)
    assert ORIENTATION(tf.constant(encoded)).numpy() == 1
    assert DECODE(tf.constant(encoded)).shape == (24, 40, 3)


@settings(max_examples=400)
@given(st.sampled_from([("JPEG", "II"), ("JPEG", "MM"), ("PNG", "II")]), st.integers(0, 140), st.binary(max_size=8))
def test_no_bytes_make_it_fail(kind, at, damage):
    """What a header claims is never believed beyond the file's end."""
    encoded = tagged(kind[0], 6, kind[1])
    damaged = encoded[:at] + damage + encoded[at + len(damage) :]
    for content in (damaged, encoded[:at], encoded[:at] + damage):
        assert 1 <= ORIENTATION(tf.constant(content)).numpy() <= 8
