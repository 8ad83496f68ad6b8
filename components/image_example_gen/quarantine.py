"""The quarantine: what was refused and why, and what can be seen of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import tensorflow as tf

from components.image_example_gen import inspection, report
from components.image_example_gen.looking import Refused
from components.image_example_gen.settings import Settings
from components.image_example_gen.sources import reading

_THUMBNAILS = 100
_SIDE = 160  # pixels


class Rows(beam.PTransform):
    """Refused to rows of `quarantine.jsonl`; the first hundred, by path, have a thumbnail if there is something to see.

    Several thousand rows are no more than some megabytes: one worker sees them all.
    """

    def __init__(self, report_uri: str, settings: Settings):
        super().__init__()
        self._folder, self._max_pixels = os.path.join(report_uri, report.THUMBNAILS), settings.max_pixels

    def expand(self, refused: beam.PCollection) -> beam.PCollection:
        return refused | beam.combiners.ToList() | beam.FlatMap(_rows, self._folder, self._max_pixels)


def _rows(refused: Iterable[Refused], folder: str, max_pixels: int) -> Iterator[dict[str, Any]]:
    shown = 0
    for image in sorted(refused, key=lambda image: (image.path, image.place.uri)):
        row = {"path": image.path, "reason": str(image.reason), "detail": image.detail, "thumbnail": None}
        picture = _thumbnail(image, max_pixels) if shown < _THUMBNAILS else None
        if picture:
            row["thumbnail"] = f"{report.THUMBNAILS}/{shown:03d}.png"
            tf.io.gfile.makedirs(folder)
            with tf.io.gfile.GFile(os.path.join(folder, f"{shown:03d}.png"), "wb") as file:
                file.write(picture)
            shown += 1
        yield row


def _thumbnail(image: Refused, max_pixels: int) -> bytes | None:
    if not image.place.uri:
        return None
    try:
        encoded = reading.fetch(image.place)
    except OSError:  # that is why it was refused
        return None
    return inspection.thumbnail(encoded, _SIDE, max_pixels)
