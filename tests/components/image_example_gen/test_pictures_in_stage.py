"""The stage writes Pillow's picture of every file, quarantines damaged ones, and counts blank ones."""

import io
import os

import numpy as np
import pytest
import tensorflow as tf
from drawing import colour_tree
from ingesting import Ingested, ingest
from PIL import Image
from variants import VARIANTS, gif, picture, save

from components.image_example_gen import report
from modules.data import decoding

FILES = {
    "rgba.bmp": "bmp-32-RGBA-124",
    "high_colour.bmp": "bmp-16-565",
    "corner.gif": "gif-off-the-corner",
    "turned.webp": "webp-exif-6",
    "xmp.jpg": "jpeg-xmp-attribute",
    "long.jpg": "jpeg-exif-long-MM",
    "profile.png": "png-raw-profile-compressed-MM",
    "checksum.png": "png-bad-checksum",
    "text.png": "png-long-compressed-text",
    "broken.webp": "webp-exif-of-no-use",
    "animated.webp": "webp-animated",
    "shape.png": "png-alpha-on-black",
    "cmyk.jpg": "jpeg-CMYK-without-adobe",
    "deep.tif": "tiff-16-of-12-bits",
}
TRANSCODED = {"high_colour.bmp", "turned.webp", "broken.webp", "animated.webp", "deep.tif"}


@pytest.fixture(scope="module")
def once(tmp_path_factory) -> Ingested:
    root = colour_tree(tmp_path_factory.mktemp("photos"), 12)
    folder = root / "cyan"
    for file, name in FILES.items():
        (folder / file).write_bytes(VARIANTS[name])
    photo = save(Image.fromarray(np.random.default_rng(1).integers(0, 256, (200, 300, 3), np.uint8)), "JPEG")
    (folder / "cut.jpg").write_bytes(photo[: len(photo) // 2].rstrip(b"\xff") + b"\xff\xd9")
    for index in range(3):
        transparent = gif((40 + index, 40), (0, 0), np.full((40, 40), index, np.uint8), index)
        (folder / f"blank{index}.gif").write_bytes(transparent)
    return ingest(root, tmp_path_factory.mktemp("out") / "stage")


def test_each_file_is_used_and_shows_what_pillow_shows(once):
    for file, name in FILES.items():
        example = once.examples[f"cyan/{file}"]
        assert (example["encoded"] == VARIANTS[name]) == (file not in TRANSCODED)
        decoded = decoding.decode(tf.constant(example["encoded"])).numpy()
        assert decoded.shape[:2] == (example["height"], example["width"])
    assert once.counts.transcoded == len(TRANSCODED)


def test_colours_and_sides_are_right(once):
    def decoded(file: str) -> np.ndarray:
        return decoding.decode(tf.constant(once.examples[f"cyan/{file}"]["encoded"])).numpy().astype(int)

    turned = np.rot90(picture(), -1)
    for file in ("turned.webp", "xmp.jpg", "long.jpg", "profile.png"):
        assert np.abs(decoded(file) - turned).mean() < 8
    np.testing.assert_array_equal(decoded("rgba.bmp")[20, 5], picture()[20, 5])
    assert np.abs(decoded("high_colour.bmp") - picture()).max() <= 8
    with Image.open(io.BytesIO(VARIANTS["gif-off-the-corner"])) as image:
        np.testing.assert_array_equal(decoded("corner.gif"), np.asarray(image.convert("RGB")))
    assert len(np.unique(decoded("deep.tif"))) > 4 and decoded("deep.tif").max() > 200


def test_a_jpeg_that_lost_its_lower_half_is_quarantined(once):
    assert once.reasons() == {"cyan/cut.jpg": "truncated"}


def test_blank_images_are_counted_and_listed(once):
    rows = report.read_rows(os.path.join(once.folder / "report", report.LITTLE_CONTENT))
    assert [row["path"] for row in rows] == [f"cyan/blank{index}.gif" for index in range(3)]
    assert once.counts.little_content == 3 and {row["label"] for row in rows} == {"cyan"}
