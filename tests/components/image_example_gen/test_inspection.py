import io
import struct
import zlib

import numpy as np
import pytest
from drawing import encode, flat, stripes
from PIL import Image, ImageOps

from components.image_example_gen import thumbnails
from components.image_example_gen.agreement import transcode_to_png
from components.image_example_gen.inspection import inspect_image
from components.image_example_gen.quarantine import Reason, UnusableError
from config.data import IngestionConfig

ANY = IngestionConfig()


@pytest.mark.parametrize(
    ("encoded", "kind"),
    [
        (encode(stripes(40), "JPEG"), "JPEG"),
        (encode(stripes(40), "JPEG", "CMYK"), "JPEG"),
        (encode(stripes(40), "PNG", "L"), "PNG"),
        (encode(stripes(40), "GIF", "P"), "GIF"),
        (encode(stripes(40), "BMP"), "BMP"),
        (encode(stripes(40), "BMP", "P"), "BMP"),
        (encode(stripes(40), "BMP", "RGBA"), "BMP"),
    ],
)
def test_an_image_is_recognised_by_its_bytes_and_kept_as_it_is(encoded, kind):
    facts = inspect_image(encoded, ANY)
    assert (facts.format, facts.height, facts.width, facts.transcoded) == (kind, 40, 40, False)


def test_height_is_height_and_width_is_width():
    facts = inspect_image(encode(flat("cyan", (9, 70))), ANY)
    assert (facts.height, facts.width) == (9, 70)


def test_exif_rotation_is_applied():
    tagged = Image.Exif()
    tagged[0x0112] = 6
    facts = inspect_image(encode(flat("cyan", (9, 70)), "JPEG", exif=tagged), ANY)
    assert (facts.height, facts.width) == (70, 9)


@pytest.mark.parametrize(
    ("make", "model", "camera"),
    [
        ("Apple", "iPhone 12", "Apple iPhone 12"),
        ("Canon", "Canon EOS 80D", "Canon EOS 80D"),
        ("NIKON CORPORATION", "NIKON D90", "NIKON D90"),
        ("A\x07cme  ", "Cam\0rest", "Acme Cam"),
        ("", "", ""),
        (None, None, ""),
    ],
)
def test_the_camera_is_make_and_model_as_exif_has_them(make, model, camera):
    tagged = Image.Exif()
    tagged.update({tag: value for tag, value in ((0x010F, make), (0x0110, model)) if value is not None})
    for kind in ("JPEG", "PNG", "TIFF"):
        assert inspect_image(encode(stripes(40), kind, exif=tagged), ANY).camera == camera


@pytest.mark.parametrize(("colour", "brightness"), [((255, 255, 255), 1.0), ((0, 0, 0), 0.0), ((0, 255, 0), 0.587)])
def test_brightness_is_mean_luma(colour, brightness):
    assert inspect_image(encode(flat(colour)), ANY).brightness == pytest.approx(brightness, abs=0.002)


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
        ("BMP", "1"),
        ("PPM", "L"),
        ("ICO", "RGBA"),
        ("TGA", "RGB"),
    ],
)
def test_formats_that_only_pillow_reads_become_pngs_with_the_same_pixels(kind, mode):
    options = {"lossless": True} if kind == "WEBP" else {"sizes": [(40, 40)]} if kind == "ICO" else {}
    encoded = encode(stripes(40), kind, mode, **options)
    facts = inspect_image(encoded, ANY)
    assert (facts.format, facts.transcoded) == (kind, True)
    given, made = (Image.open(io.BytesIO(content)) for content in (encoded, transcode_to_png(encoded)))
    assert made.format == "PNG"
    np.testing.assert_array_equal(np.asarray(made.convert("RGB")), np.asarray(given.convert("RGB")))


def test_transparency_shows_a_white_background_in_a_transcoded_image():
    shape = np.zeros((40, 40, 4), np.uint8)
    shape[10:30, 10:30, 3] = 255
    buffer = io.BytesIO()
    Image.fromarray(shape).save(buffer, "WEBP", lossless=True)
    made = np.asarray(Image.open(io.BytesIO(transcode_to_png(buffer.getvalue()))))
    np.testing.assert_array_equal(made, np.repeat(255 - shape[:, :, 3:], 3, axis=2))


def test_sixteen_bits_stay_sixteen_bits():
    image = np.arange(0, 65536, 64, np.uint16).reshape(32, 32)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "TIFF")
    made = Image.open(io.BytesIO(transcode_to_png(buffer.getvalue())))
    np.testing.assert_array_equal(np.asarray(made), image)
    assert inspect_image(buffer.getvalue(), ANY).brightness == pytest.approx(0.5, abs=0.01)


def test_a_transcoded_image_is_rotated_and_has_no_exif_orientation():
    tagged = Image.Exif()
    tagged[0x0112] = 6
    encoded = encode(stripes(40)[:24], "WEBP", lossless=True, exif=tagged)
    made = Image.open(io.BytesIO(transcode_to_png(encoded)))
    assert made.getexif().get(0x0112) is None
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(encoded)))
    np.testing.assert_array_equal(np.asarray(made), np.asarray(upright))
    facts = inspect_image(encoded, ANY)
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
        (b"", Reason.NOT_AN_IMAGE, "the file is empty"),
        (b"just some text", Reason.NOT_AN_IMAGE, "just some te"),
        (encode(stripes(64), "JPEG")[:700], Reason.TRUNCATED, ""),
        (encode(stripes(64))[:150], Reason.TRUNCATED, ""),
        (encode(stripes(64))[:20], Reason.TRUNCATED, ""),
        (encode(stripes(64), "WEBP")[:-60], Reason.TRUNCATED, ""),
        (encode(stripes(64), "TIFF")[:200], Reason.TRUNCATED, ""),
        (float_tiff(), Reason.UNSUPPORTED_FORMAT, "TIFF with pixels of mode 'F'"),
        (encode(stripes(16), "EPS"), Reason.UNSUPPORTED_FORMAT, "EPS, 16x16 pixels"),
        (
            png_of(40_000, 40_000),
            Reason.TOO_LARGE,
            "40000x40000 pixels; data.max_pixels allows at most 89478485 pixels",
        ),
        (
            encode(flat("cyan", (7, 30))),
            Reason.TOO_SMALL,
            "30x7 pixels; data.min_side requires at least 8 pixels per side",
        ),
    ],
)
def test_an_unusable_file_is_rejected_with_its_reason(encoded, reason, detail):
    with pytest.raises(UnusableError) as caught:
        inspect_image(encoded, ANY)
    assert caught.value.rejection.reason is reason
    assert detail in caught.value.rejection.detail


def test_the_bounds_of_size_are_those_of_the_configuration():
    image = encode(flat("cyan", (20, 30)))
    for field, bound in (("max_pixels", 600), ("min_side", 20)):
        inspect_image(image, ANY.model_copy(update={field: bound}))
    for field, beyond in (("max_pixels", 599), ("min_side", 21)):
        with pytest.raises(UnusableError):
            inspect_image(image, ANY.model_copy(update={field: beyond}))


def test_random_damage_raises_no_other_error():
    """Every damaged file is quarantined; none stops the run."""
    random = np.random.default_rng(0)
    outcomes = set()
    for kind in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "ICO", "AVIF", "TGA"):
        whole = np.frombuffer(encode(stripes(32), kind, "P" if kind == "GIF" else "RGB"), np.uint8)
        for _ in range(60):
            damaged = whole.copy()
            damaged[random.integers(0, min(len(damaged), 200), 6)] = random.integers(0, 256, 6)
            thumbnails.make_thumbnail(damaged.tobytes(), 16, 10_000)
            try:
                inspect_image(damaged.tobytes(), ANY)
                outcomes.add("used")
            except UnusableError as error:
                outcomes.add(error.rejection.reason)
    assert {"used", Reason.TRUNCATED, Reason.NOT_AN_IMAGE, Reason.TOO_LARGE} <= outcomes


def test_a_multi_picture_jpeg_is_a_jpeg():
    buffer = io.BytesIO()
    first, second = (Image.fromarray(flat(name)) for name in ("cyan", "magenta"))
    first.save(buffer, "MPO", save_all=True, append_images=[second])
    assert inspect_image(buffer.getvalue(), ANY).format == "JPEG"


def test_a_thumbnail_shows_the_part_before_the_damage():
    whole = encode(flat("magenta", (64, 64), seed=0), "JPEG")
    shown = Image.open(io.BytesIO(thumbnails.make_thumbnail(whole[: len(whole) * 3 // 4], 16, 10_000)))
    assert shown.size == (16, 16)
    np.testing.assert_allclose(np.asarray(shown)[0, 0], (255, 0, 255), atol=25)
    assert thumbnails.make_thumbnail(b"text", 16, 10_000) is None
    assert thumbnails.make_thumbnail(png_of(40_000, 40_000), 16, 10_000) is None
