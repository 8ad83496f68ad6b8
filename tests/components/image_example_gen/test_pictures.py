"""Ingestion writes the picture that Pillow sees, and the served model's graph makes the same one, or refuses the file.

The files are those on which decoders are known to disagree, see `variants`.
"""

import functools
import io
import struct
import time

import numpy as np
import pytest
import tensorflow as tf
import variants
from PIL import Image, ImageOps
from variants import HEIGHT, VARIANTS, WIDTH, chunk, gif, save

from components.image_example_gen import agreement, comparison, near_duplicates, reference
from components.image_example_gen.inspection import inspect_image
from components.image_example_gen.quarantine import Reason, UnusableError
from config.data import IngestionConfig
from modules.data import decoding

ANY = IngestionConfig()
GRAPH = tf.function(decoding.decode, input_signature=[tf.TensorSpec([], tf.string)], autograph=False)

# Pillow refuses them; the graph decodes them rightly, or refuses them, too.
NOT_FOR_PILLOW = {f"bmp-32-RGBA-{rest}" for rest in ("without-alpha", "masks-behind")} | {
    f"bmp-32-ARGB-{rest}" for rest in ("56", "108", "124", "without-alpha", "masks-behind")
}
# The graph names what to do instead; ingestion uses them.
REFUSED = {"bmp-24-os2", "bmp-16-555", "bmp-16-565", "bmp-4", "bmp-1", "bmp-8-rle", "webp-animated"}
REFUSED |= {"webp-animated-alpha"}
# Pillow refuses the chunk; without it, it makes the picture.
ODD_CHUNKS = {
    "png-bad-checksum": 1,
    "png-bad-checksum-of-time": 1,
    "png-long-text": 1,
    "png-long-compressed-text": 1,
    "png-bad-text": 1,
    "png-exif-broken": 1,
    "png-exif-with-bad-checksum": 6,
    "webp-exif-of-no-use": 1,
}


def expected(name: str, encoded: bytes) -> np.ndarray:
    """Pillow's picture by its own functions: upright, transparency on white."""
    if name in ODD_CHUNKS:
        turned = Image.Transpose.ROTATE_270 if ODD_CHUNKS[name] == 6 else None
        image = Image.fromarray(variants.picture())
        return np.asarray(image if turned is None else image.transpose(turned)).astype(int)
    if "-of-12-bits" in name:
        image = Image.fromarray(variants.picture())
        image = image if "RGB" in name else image.getchannel("R") if name.startswith("png") else image.convert("L")
        return np.asarray(image.convert("RGB")).astype(int) * 257 // 16 // 16
    with Image.open(io.BytesIO(encoded)) as image:
        upright = ImageOps.exif_transpose(image)
    if name == "png-16-grey-key":
        key = (np.asarray(upright) == 250 * 257)[:, :, np.newaxis]
        return np.where(key, 255, np.repeat(np.asarray(upright)[:, :, np.newaxis] // 256, 3, axis=2)).astype(int)
    if upright.mode == "I;16":
        return np.repeat(np.asarray(upright)[:, :, np.newaxis] // 256, 3, axis=2).astype(int)
    layer = upright.convert("RGBA")
    return np.asarray(Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")).astype(int)


def assert_same(actual: np.ndarray, name: str, encoded: bytes) -> None:
    picture = expected(name, encoded)
    assert actual.shape == picture.shape
    # The decoders of a JPEG round differently, at edges above all.
    difference = np.abs(actual.astype(int) - picture)
    assert difference.max() <= (20 if name.startswith("jpeg") else 1)
    assert difference.mean() <= 4


@pytest.mark.parametrize("name", sorted(set(VARIANTS) - NOT_FOR_PILLOW))
def test_ingestion_writes_pillows_picture(name):
    encoded = VARIANTS[name]
    facts = inspect_image(encoded, ANY)
    written = agreement.transcode_to_png(encoded) if facts.transcoded else encoded
    decoded = GRAPH(tf.constant(written)).numpy()
    assert (facts.height, facts.width) == decoded.shape[:2]
    assert_same(decoded, name, encoded)


@pytest.mark.parametrize("name", sorted(set(VARIANTS) - NOT_FOR_PILLOW - REFUSED))
def test_the_graph_makes_pillows_picture_of_the_original_file(name):
    encoded = VARIANTS[name]
    if name.startswith("tiff"):
        with pytest.raises(tf.errors.InvalidArgumentError, match="Unknown image file format"):
            GRAPH(tf.constant(encoded))
    else:
        assert_same(GRAPH(tf.constant(encoded)).numpy(), name, encoded)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_the_graph_refuses_what_it_would_decode_wrongly(name):
    message = "animated WebP is not supported; save" if name.startswith("webp") else "BMP of this kind.*; save"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        GRAPH(tf.constant(VARIANTS[name]))


@pytest.mark.parametrize("name", sorted(NOT_FOR_PILLOW))
def test_masks_that_pillow_does_not_know_are_quarantined_but_served_rightly(name):
    with pytest.raises(UnusableError) as caught:
        inspect_image(VARIANTS[name], ANY)
    assert caught.value.rejection.reason is Reason.UNSUPPORTED_FORMAT
    decoded = GRAPH(tf.constant(VARIANTS[name])).numpy().astype(int)
    opacity = variants.alpha()[:, :, np.newaxis].astype(int)
    if name.endswith(("alpha", "behind")):
        opacity = np.full_like(opacity, 255)
    np.testing.assert_allclose(decoded, variants.picture() * (opacity / 255) + 255 - opacity, atol=1)


def test_a_picture_on_which_the_decoders_disagree_is_written_as_pillow_sees_it(monkeypatch):
    """Were the graph to decode wrongly, with swapped colours for instance, the example would hold a PNG."""

    def swapped(original, encoded: tf.Tensor, max_pixels: int) -> tf.Tensor:
        image = original(encoded, max_pixels)
        is_png = tf.equal(tf.strings.substr(encoded, 0, 4), b"\x89PNG")
        return tf.cond(is_png, lambda: image, lambda: image[:, :, ::-1])

    for name in ("decode", "decode_jpeg"):
        monkeypatch.setattr(decoding, name, functools.partial(swapped, getattr(decoding, name)))
    agreement._make_graph.cache_clear()
    try:
        for name in ("jpeg-RGB", "bmp-24", "gif", "jpeg-exif-6"):
            assert inspect_image(VARIANTS[name], ANY).transcoded
            assert_same(np.asarray(reference.load(VARIANTS[name])), "jpeg", VARIANTS[name])
        assert not inspect_image(VARIANTS["jpeg-L"], ANY).transcoded
    finally:
        agreement._make_graph.cache_clear()


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8))


def smooth(width: int, height: int) -> Image.Image:
    coarse = np.random.default_rng(height).integers(0, 256, (height // 16 + 2, width // 16 + 2, 3), np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def product(width: int, height: int) -> Image.Image:
    """A red thing before a white background."""
    image = Image.new("RGB", (width, height), "white")
    image.paste((200, 30, 20), (width // 4, height // 6, width // 2, height // 3))
    return image


@pytest.mark.parametrize("draw", [noise, smooth, product])
@pytest.mark.parametrize("size", [(320, 240), (317, 211), (640, 480), (57, 333), (24, 17)])
def test_jpegs_of_any_quality_are_kept(draw, size):
    """And half of the allowed difference is not reached."""
    for options in ({"quality": 5}, {"quality": 90}, {"quality": 75, "progressive": True}, {"subsampling": 0}):
        encoded = save(draw(*size), "JPEG", **options)
        assert not inspect_image(encoded, ANY).transcoded
        small = near_duplicates.shrink(GRAPH(tf.constant(encoded)).numpy())
        grids = [
            comparison.grid(small, near_duplicates.reduction(size), size),
            reference.preview_jpeg(reference.open_image(encoded)).grid(),
        ]
        difference = np.abs(np.subtract(*(np.asarray(grid).astype(int) for grid in grids)))
        assert difference.max() <= 24 and difference.mean() <= 3.5


@pytest.mark.parametrize("draw", [noise, smooth, product])
@pytest.mark.parametrize(
    "options",
    [{}, {"subsampling": 0}, {"restart_marker_rows": 1}, {"restart_marker_blocks": 3}, {"quality": 20}],
    ids=str,
)
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.9])
def test_a_jpeg_that_ends_early_with_an_end_marker_is_quarantined(draw, options, kept):
    whole = save(draw(320, 240), "JPEG", **options)
    start = whole.index(b"\xff\xda") + 14
    cut = whole[: start + int((len(whole) - start) * kept)].rstrip(b"\xff")
    assert not inspect_image(whole, ANY).transcoded
    for tail in (b"", b"\xff\xd9", b"\xff\xd9trailing bytes"):
        with pytest.raises(UnusableError) as caught:
            inspect_image(cut + tail, ANY)
        assert caught.value.rejection.reason is Reason.TRUNCATED


@pytest.mark.parametrize("kept", [0.1, 0.3, 0.5])
def test_a_progressive_jpeg_that_lacks_scans_is_quarantined(kept):
    whole = save(smooth(320, 240), "JPEG", progressive=True)
    cut = whole[: int(len(whole) * kept)].rstrip(b"\xff")
    with pytest.raises(UnusableError, match="the file ends before its picture does"):
        inspect_image(cut + b"\xff\xd9", ANY)


@pytest.mark.parametrize("marker", [0xC1, 0xC2, 0xC3, 0xC5, 0xCB])
def test_a_jpeg_of_another_process_is_used_or_quarantined(marker):
    """Extended, progressive, lossless, arithmetic and so on; the pixels are those of a sequential one."""
    encoded = VARIANTS["jpeg-RGB"]
    at = encoded.index(b"\xff\xc0")
    try:
        facts = inspect_image(encoded[:at] + bytes((0xFF, marker)) + encoded[at + 2 :], ANY)
        assert marker == 0xC1 and not facts.transcoded
    except UnusableError as error:
        assert error.rejection.reason is Reason.TRUNCATED and marker != 0xC1


def short_png() -> bytes:
    """Half of the rows, in a stream of pixels that is whole for zlib."""
    whole = variants.png_of(variants.picture(), 8, 2)
    half = variants.png_of(variants.picture()[: HEIGHT // 2], 8, 2)
    return whole[:33] + half[33:]


def short_gif() -> bytes:
    """Half of the compressed pixels, in a chain of blocks that ends."""
    whole = save(noise(64, 64).quantize(128), "GIF")
    with Image.open(io.BytesIO(whole)) as image:
        at = image.tile[0].offset
    blocks, end = [], at
    while whole[end]:
        blocks.append(whole[end : end + 1 + whole[end]])
        end += 1 + whole[end]
    return whole[:at] + b"".join(blocks[: len(blocks) // 2]) + b"\0;"


@pytest.mark.parametrize("cut", [0.3, 0.7, 0.95])
@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("PNG", "RGB", {}),
        ("GIF", "P", {}),
        ("BMP", "RGB", {}),
        ("WEBP", "RGB", {}),
        ("TIFF", "RGB", {}),
        ("TIFF", "RGB", {"compression": "tiff_lzw"}),
        ("TIFF", "RGB", {"compression": "tiff_adobe_deflate"}),
        ("JPEG2000", "RGB", {}),
        ("AVIF", "RGB", {}),
        ("TGA", "RGB", {"compression": "tga_rle"}),
        ("PPM", "RGB", {}),
    ],
)
def test_a_file_that_is_cut_short_is_quarantined_whatever_it_ends_with(kind, mode, options, cut):
    whole = save(noise(64, 64).convert(mode), kind, **options)
    part = whole[: int(len(whole) * cut)]
    for tail in (b"", whole[-12:]):
        with pytest.raises(UnusableError):
            inspect_image(part + tail, ANY)


@pytest.mark.parametrize("encoded", [short_png(), short_gif()])
def test_a_file_with_too_few_pixels_is_quarantined(encoded):
    with pytest.raises(UnusableError) as caught:
        inspect_image(encoded, ANY)
    assert caught.value.rejection.reason is Reason.TRUNCATED
    assert "function_node" not in caught.value.rejection.detail


def test_only_the_first_frame_of_an_animation_is_decoded():
    """150 frames of 1000 × 1000 pixels would take 450 MB and seconds."""
    encoded = gif((1000, 1000), (0, 0), np.zeros((1000, 1000), np.uint8), frames=150)
    GRAPH(tf.constant(gif((8, 8), (0, 0), np.zeros((8, 8), np.uint8))))  # traces the graph
    start = time.monotonic()
    assert GRAPH(tf.constant(encoded)).shape == (1000, 1000, 3)
    assert time.monotonic() - start < 1


@pytest.mark.parametrize(
    "encoded",
    [
        VARIANTS["jpeg-RGB"],
        VARIANTS["png-RGB"],
        VARIANTS["gif"],
        VARIANTS["gif-off-the-corner"],
        VARIANTS["bmp-24-top-down"],
        VARIANTS["webp"],
        VARIANTS["webp-lossless"],
        VARIANTS["webp-lossy-alpha"],
    ],
)
def test_the_graph_bounds_the_size_before_it_decodes(encoded):
    decoding.decode(tf.constant(encoded), HEIGHT * WIDTH)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"more than {HEIGHT * WIDTH - 1} pixels"):
        decoding.decode(tf.constant(encoded), HEIGHT * WIDTH - 1)


def test_a_gif_whose_canvas_is_a_bomb_is_refused():
    small = np.zeros((8, 8), np.uint8)
    for encoded in (gif((65_000, 65_000), (0, 0), small), gif((8, 8), (65_000, 65_000), small)):
        with pytest.raises(UnusableError) as caught:
            inspect_image(encoded, ANY)
        assert caught.value.rejection.reason is Reason.TOO_LARGE
        with pytest.raises(tf.errors.InvalidArgumentError, match="more than 89478485 pixels"):
            GRAPH(tf.constant(encoded))


def test_metadata_that_inflate_to_gigabytes_are_refused_by_the_graph():
    packed = b"XML:com.adobe.xmp\0\1\0\0\0" + bytes(1 << 18)
    with pytest.raises(tf.errors.InvalidArgumentError, match="compressed bytes; save the image without metadata"):
        GRAPH(tf.constant(variants.png_with(chunk(b"iTXt", packed))))


@pytest.mark.parametrize(
    "kind", ["gif", "bmp-32-RGBA-56", "webp-exif-6", "png-xmp-element-compressed", "gif-off-the-corner"]
)
def test_damage_makes_the_graph_raise_or_decode_but_never_hang(kind):
    random, whole = np.random.default_rng(0), np.frombuffer(VARIANTS[kind], np.uint8)
    outcomes = set()
    for _ in range(80):
        damaged = whole.copy()
        damaged[random.integers(0, len(damaged), 4)] = random.integers(0, 256, 4)
        content = damaged.tobytes()[: random.integers(1, len(damaged))] if random.random() < 0.3 else damaged.tobytes()
        if struct.unpack("<H", content[:2].ljust(2))[0] == 0xD8FF:
            continue
        try:
            GRAPH(tf.constant(content))
            outcomes.add("decoded")
        except (tf.errors.InvalidArgumentError, tf.errors.DataLossError):
            outcomes.add("refused")
    assert "refused" in outcomes


@pytest.mark.parametrize(("values", "levels"), [(4095, 256), (255, 256), (65535, 256)])
def test_the_bits_that_an_image_uses_are_kept(values, levels):
    """An X-ray of 12 bits in a file of 16 keeps its grey levels."""
    grey = np.linspace(0, values, 64 * 64).astype(np.uint16).reshape(64, 64)
    for kind in ("PNG", "TIFF"):
        encoded = save(Image.fromarray(grey), kind)
        facts = inspect_image(encoded, ANY)
        written = agreement.transcode_to_png(encoded) if facts.transcoded else encoded
        assert len(np.unique(GRAPH(tf.constant(written)).numpy())) == levels
        assert facts.brightness == pytest.approx(0.5, abs=0.01) and not facts.little_content
