import io
import struct
import zlib

import numpy as np
import pytest
from drawing import encode, flat, stripes
from PIL import Image

from components.image_example_gen.inspection import Reason, UnusableError, inspect


@pytest.mark.parametrize(
    ("encoded", "kind"),
    [
        (encode(stripes(40), "JPEG"), "JPEG"),
        (encode(stripes(40), "JPEG", "CMYK"), "JPEG"),
        (encode(stripes(40), "PNG", "L"), "PNG"),
        (encode(stripes(40), "GIF", "P"), "GIF"),
        (encode(stripes(40), "BMP"), "BMP"),
        (encode(stripes(40), "BMP", "RGBA"), "BMP"),
    ],
)
def test_an_image_is_recognised_by_its_bytes(encoded, kind):
    facts = inspect(encoded)
    assert (facts.format, facts.height, facts.width) == (kind, 40, 40)


def test_height_is_height_and_width_is_width():
    facts = inspect(encode(flat("cyan", (3, 70))))
    assert (facts.height, facts.width) == (3, 70)


def png_of(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds no pixels: a decompression bomb's header."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def bmp_palette() -> bytes:
    return encode(stripes(16), "BMP", "P")


@pytest.mark.parametrize(
    ("encoded", "reason", "detail"),
    [
        (b"", Reason.EMPTY, "no bytes"),
        (b"just some text", Reason.NOT_AN_IMAGE, "just some te"),
        (encode(stripes(64), "JPEG")[:700], Reason.DAMAGED, ""),
        (encode(stripes(64))[:150], Reason.DAMAGED, ""),
        (encode(stripes(64))[:20], Reason.DAMAGED, ""),
        (encode(stripes(16), "TIFF"), Reason.UNSUPPORTED_FORMAT, "TIFF, 16x16; supported are JPEG, PNG, GIF, BMP"),
        (encode(stripes(16), "WEBP"), Reason.UNSUPPORTED_FORMAT, "WEBP"),
        (bmp_palette(), Reason.UNSUPPORTED_FORMAT, "BMP of 8 bits"),
        (png_of(40_000, 40_000), Reason.TOO_LARGE, "1600000000 pixels"),
    ],
)
def test_what_can_not_be_an_example_is_named_with_its_reason(encoded, reason, detail):
    with pytest.raises(UnusableError) as caught:
        inspect(encoded)
    assert caught.value.reason is reason
    assert detail in caught.value.detail


def test_random_damage_never_escapes_as_another_error():
    """Whatever is wrong with a file, it is quarantined; it must not stop the run."""
    random = np.random.default_rng(0)
    outcomes = set()
    for kind in ("JPEG", "PNG", "GIF", "BMP"):
        whole = np.frombuffer(encode(stripes(32), kind, "P" if kind == "GIF" else "RGB"), np.uint8)
        for _ in range(60):
            damaged = whole.copy()
            damaged[random.integers(0, min(len(damaged), 200), 6)] = random.integers(0, 256, 6)
            try:
                inspect(damaged.tobytes())
                outcomes.add("used")
            except UnusableError as error:
                outcomes.add(error.reason)
    assert {"used", Reason.DAMAGED, Reason.NOT_AN_IMAGE} <= outcomes


def test_a_photo_with_further_pictures_behind_the_first_is_a_jpeg():
    buffer = io.BytesIO()
    first, second = (Image.fromarray(flat(name)) for name in ("cyan", "magenta"))
    first.save(buffer, "MPO", save_all=True, append_images=[second])
    assert inspect(buffer.getvalue()).format == "JPEG"
