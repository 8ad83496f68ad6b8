"""Small pictures of images, also of damaged ones."""

from __future__ import annotations

import contextlib
import io

import PIL.Image
import PIL.ImageOps

from components.image_example_gen import reference
from modules.data import features


def make_thumbnail(encoded: bytes, side: int, max_pixels: int) -> bytes | None:
    """A small PNG of a rejected image, at most `side` pixels wide and high; None if nothing can be shown."""
    # Pillow decodes the first part of a truncated JPEG once an end marker is added.
    for content in (encoded, encoded + b"\xff\xd9"):
        if (small := shrink(content, side, max_pixels)) is not None:
            buffer = io.BytesIO()
            small.save(buffer, "PNG")
            return buffer.getvalue()
    return None


def shrink(encoded: bytes, side: int, max_pixels: int) -> PIL.Image.Image | None:
    """A small picture, RGB and upright.

    Args:
      encoded: the image's file.
      side: the most pixels that the picture is wide and high.
      max_pixels: an image with more is not decoded.

    Returns:
      the picture; None if the image cannot be decoded.
    """
    with contextlib.suppress(Exception):  # Pillow's readers raise errors of any type
        with reference.open_image(encoded) as image:
            known = image.format in (*features.FORMATS, "MPO", *features.TRANSCODED_FORMATS)
            if not known or image.mode not in reference.MODES or image.width * image.height > max_pixels:
                return None
            image.draft("RGB", (side, side))
            small = PIL.ImageOps.exif_transpose(image).convert("RGB")
        small.thumbnail((side, side))
        return small
    return None
