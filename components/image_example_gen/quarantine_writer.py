"""Writes the quarantine: one row per rejected image, and thumbnails of some."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

from components.image_example_gen import report, thumbnails
from components.image_example_gen.quarantine import RejectedImage
from components.image_example_gen.sources import readers
from modules.files import atomic_write

_THUMBNAILS = 100  # at most
_SIDE = 160  # pixels


def make_rows(rejected: Iterable[RejectedImage], folder: str, max_pixels: int) -> Iterator[dict[str, Any]]:
    """Makes rows of `quarantine.jsonl` of all rejected images, and writes thumbnails.

    The first hundred images by path that can be shown get a thumbnail. One worker handles all rows: several thousand
    rows are only a few megabytes.

    Args:
      rejected: all of them.
      folder: of the thumbnails.
      max_pixels: see `data.max_pixels`.
    """
    written = 0
    for image in sorted(rejected, key=lambda image: (image.path, image.location.uri)):
        row = {"path": image.path, "reason": str(image.reason), "detail": image.detail, "thumbnail": None}
        thumbnail = _make_thumbnail(image, max_pixels) if written < _THUMBNAILS else None
        if thumbnail:
            name = f"{written:03d}.png"
            row["thumbnail"] = f"{report.THUMBNAILS}/{name}"
            atomic_write(os.path.join(folder, name), thumbnail)
            written += 1
        yield row


def _make_thumbnail(image: RejectedImage, max_pixels: int) -> bytes | None:
    if not image.location.uri:
        return None
    try:
        encoded = readers.fetch(image.location)
    except OSError:  # the reason why the image was rejected
        return None
    return thumbnails.make_thumbnail(encoded, _SIDE, max_pixels)
