import dataclasses
import io
import struct
import zlib

import numpy as np
import pytest
from drawing import encode, flat, stripes
from PIL import Image, ImageOps

from components.image_example_gen import inspection
from components.image_example_gen.inspection import inspect
from components.image_example_gen.reasons import Reason, UnusableError
from components.image_example_gen.settings import Settings

ANY = Settings()


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
def test_an_image_is_recognised_by_its_bytes_and_kept_as_it_is(encoded, kind):
    facts = inspect(encoded, ANY)
    assert (facts.format, facts.height, facts.width, facts.transcoded) == (kind, 40, 40, False)


def test_height_is_height_and_width_is_width():
    facts = inspect(encode(flat("cyan", (9, 70))), ANY)
    assert (facts.height, facts.width) == (9, 70)


def test_a_photo_taken_upright_is_upright():
    tagged = Image.Exif()
    tagged[0x0112] = 6
    facts = inspect(encode(flat("cyan", (9, 70)), "JPEG", exif=tagged), ANY)
    assert (facts.height, facts.width) == (70, 9)


@pytest.mark.parametrize(("colour", "brightness"), [((255, 255, 255), 1.0), ((0, 0, 0), 0.0), ((0, 255, 0), 0.587)])
def test_brightness_is_mean_luma(colour, brightness):
    assert inspect(encode(flat(colour)), ANY).brightness == pytest.approx(brightness, abs=0.002)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("WEBP", "RGB"),
        ("WEBP", "RGBA"),
        ("TIFF", "RGB"),
        ("TIFF", "CMYK"),
        ("TIFF", "1"),
        ("TIFF", "P"),
        ("AVIF", "RGB"),
        ("HEIF", "RGB"),
        ("JPEG2000", "RGB"),
        ("BMP", "P"),
        ("BMP", "1"),
        ("PPM", "L"),
        ("ICO", "RGBA"),
        ("TGA", "RGB"),
    ],
)
def test_what_only_pillow_reads_becomes_a_png_of_the_same_pixels(kind, mode):
    options = {"lossless": True} if kind == "WEBP" else {"sizes": [(40, 40)]} if kind == "ICO" else {}
    encoded = encode(stripes(40), kind, mode, **options)
    facts = inspect(encoded, ANY)
    assert (facts.format, facts.transcoded) == (kind, True)
    given, made = (Image.open(io.BytesIO(content)) for content in (encoded, inspection.transcoded(encoded)))
    assert made.format == "PNG"
    np.testing.assert_array_equal(np.asarray(made.convert("RGB")), np.asarray(given.convert("RGB")))


def test_sixteen_bits_stay_sixteen_bits():
    image = np.arange(0, 65536, 64, np.uint16).reshape(32, 32)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "TIFF")
    made = Image.open(io.BytesIO(inspection.transcoded(buffer.getvalue())))
    np.testing.assert_array_equal(np.asarray(made), image)
    assert inspect(buffer.getvalue(), ANY).brightness == pytest.approx(0.5, abs=0.01)


def test_a_transcoded_image_is_upright_and_no_longer_says_how_to_turn_it():
    tagged = Image.Exif()
    tagged[0x0112] = 6
    encoded = encode(stripes(40)[:24], "WEBP", lossless=True, exif=tagged)
    made = Image.open(io.BytesIO(inspection.transcoded(encoded)))
    assert made.getexif().get(0x0112) is None
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(encoded)))
    np.testing.assert_array_equal(np.asarray(made), np.asarray(upright))
    facts = inspect(encoded, ANY)
    assert (facts.height, facts.width) == (40, 24)


def png_of(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds no pixels: a decompression bomb's header."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def float_tiff() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)).save(buffer, "TIFF")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("encoded", "reason", "detail"),
    [
        (b"", Reason.NOT_AN_IMAGE, "no bytes"),
        (b"just some text", Reason.NOT_AN_IMAGE, "just some te"),
        (encode(stripes(64), "JPEG")[:700], Reason.TRUNCATED, ""),
        (encode(stripes(64))[:150], Reason.TRUNCATED, ""),
        (encode(stripes(64))[:20], Reason.TRUNCATED, ""),
        (encode(stripes(64), "WEBP")[:-60], Reason.TRUNCATED, ""),
        (encode(stripes(64), "TIFF")[:200], Reason.TRUNCATED, ""),
        (float_tiff(), Reason.UNSUPPORTED_FORMAT, "TIFF of pixels 'F'"),
        (encode(stripes(16), "EPS"), Reason.UNSUPPORTED_FORMAT, "EPS, 16x16"),
        (png_of(40_000, 40_000), Reason.TOO_LARGE, "40000x40000; at most 89478485 pixels"),
        (encode(flat("cyan", (7, 30))), Reason.TOO_SMALL, "30x7; 8 pixels a side are needed"),
    ],
)
def test_what_can_not_be_an_example_is_named_with_its_reason(encoded, reason, detail):
    with pytest.raises(UnusableError) as caught:
        inspect(encoded, ANY)
    assert caught.value.reason is reason
    assert detail in caught.value.detail


def test_the_bounds_of_size_are_the_settings():
    image = encode(flat("cyan", (20, 30)))
    for field, bound in (("max_pixels", 600), ("min_side", 20)):
        inspect(image, dataclasses.replace(ANY, **{field: bound}))
    for field, beyond in (("max_pixels", 599), ("min_side", 21)):
        with pytest.raises(UnusableError):
            inspect(image, dataclasses.replace(ANY, **{field: beyond}))


def test_random_damage_never_escapes_as_another_error():
    """Whatever is wrong with a file, it is quarantined; it must not stop the run."""
    random = np.random.default_rng(0)
    outcomes = set()
    for kind in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "ICO", "AVIF", "TGA"):
        whole = np.frombuffer(encode(stripes(32), kind, "P" if kind == "GIF" else "RGB"), np.uint8)
        for _ in range(60):
            damaged = whole.copy()
            damaged[random.integers(0, min(len(damaged), 200), 6)] = random.integers(0, 256, 6)
            inspection.thumbnail(damaged.tobytes(), 16, 10_000)
            try:
                inspect(damaged.tobytes(), ANY)
                outcomes.add("used")
            except UnusableError as error:
                outcomes.add(error.reason)
    assert {"used", Reason.TRUNCATED, Reason.NOT_AN_IMAGE, Reason.TOO_LARGE} <= outcomes


def test_a_photo_with_further_pictures_behind_the_first_is_a_jpeg():
    buffer = io.BytesIO()
    first, second = (Image.fromarray(flat(name)) for name in ("cyan", "magenta"))
    first.save(buffer, "MPO", save_all=True, append_images=[second])
    assert inspect(buffer.getvalue(), ANY).format == "JPEG"


def test_a_thumbnail_shows_what_came_before_the_damage():
    whole = encode(flat("magenta", (64, 64), seed=0), "JPEG")
    shown = Image.open(io.BytesIO(inspection.thumbnail(whole[: len(whole) * 3 // 4], 16, 10_000)))
    assert shown.size == (16, 16)
    np.testing.assert_allclose(np.asarray(shown)[0, 0], (255, 0, 255), atol=25)
    assert inspection.thumbnail(b"text", 16, 10_000) is None
    assert inspection.thumbnail(png_of(40_000, 40_000), 16, 10_000) is None
