"""Pictures inside the page: small WebP images as `data:` addresses."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import PIL.Image

from components.image_example_gen import thumbnails
from modules.data.decoding import MAX_PIXELS

SMALL, LARGE = 80, 176  # pixels; the longer side
_QUALITY = 55  # of WebP, 0 to 100
_BATCH = 64  # images whose files are in memory at the same time


def address(picture: PIL.Image.Image) -> str:
    """A picture as an address that holds the picture itself."""
    content = io.BytesIO()
    picture.save(content, "WEBP", quality=_QUALITY, method=1)
    return f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode()}"


def small(encoded: bytes) -> str | None:
    """A small picture of an image's file; None if it cannot be decoded."""
    return _shrunk(encoded, SMALL)


def large(encoded: bytes) -> str | None:
    """A larger picture of an image's file; None if it cannot be decoded."""
    return _shrunk(encoded, LARGE)


def large_of(picture: PIL.Image.Image) -> str:
    """The larger picture of one that is in memory."""
    reduced = picture.convert("RGB")
    reduced.thumbnail((LARGE, LARGE))
    return address(reduced)


def of_all(files: Iterable[tuple[str, bytes]], make: Callable[[bytes], str | None] = small) -> dict[str, str]:
    """Pictures of many images, made side by side.

    Args:
      files: an image's name, and its file.
      make: a picture of a file.

    Returns:
      name to picture; images that cannot be decoded are left out.
    """
    made: dict[str, str] = {}
    waiting: list[tuple[str, bytes]] = []

    def finish(pool: ThreadPoolExecutor) -> None:
        pictures = pool.map(make, [encoded for _, encoded in waiting])
        made.update({name: one for (name, _), one in zip(waiting, pictures, strict=True) if one})
        waiting.clear()

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for one in files:
            waiting.append(one)
            if len(waiting) >= _BATCH:
                finish(pool)
        finish(pool)
    return made


def _shrunk(encoded: bytes, side: int) -> str | None:
    picture = thumbnails.shrink(encoded, side, MAX_PIXELS)
    return address(picture) if picture else None
