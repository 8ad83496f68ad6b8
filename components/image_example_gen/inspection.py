"""The first pass: each image is read and decoded once, to find out whether every later stage can use it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import apache_beam as beam
import PIL.Image

from components import progress
from components.image_example_gen import (
    agreement,
    bundle_summary,
    camera,
    content,
    near_duplicates,
    parallelism,
    report,
    report_writer,
)
from components.image_example_gen.byte_location import ByteLocation
from components.image_example_gen.near_duplicates import PerceptualHash
from components.image_example_gen.quarantine import Reason, RejectedImage, UnusableError
from components.image_example_gen.sources.item import Item
from components.image_example_gen.sources.readers import RawImage, Reader
from config.data import IngestionConfig
from modules.data import features

BATCH_SIZE = 64  # items that a worker takes at a time


class ImageFacts(NamedTuple):
    """What is recorded of an image beside its bytes.

    Attributes:
      format: of the original file, as Pillow names it.
      height, width: pixels, with EXIF rotation applied, as the transform graph decodes the image.
      brightness: mean luma (Rec. 601), [0, 1].
      sharpness: see `content.sharpness`.
      camera: see `camera.name_of`.
      perceptual_hash: for the search for near-duplicates; None if it is off, or the image is nearly plain.
      transcoded: whether the example holds other bytes than the file, see `agreement.decode`.
      little_content: see `content.is_little`.
    """

    format: str
    height: int
    width: int
    brightness: float
    sharpness: float
    camera: str
    perceptual_hash: PerceptualHash | None
    transcoded: bool
    little_content: bool


class InspectedImage(NamedTuple):
    """An image that can become an example, without its pixels.

    Attributes:
      key: SHA-256 of the file's bytes, hexadecimal.
      path, label, split, group, weight, line, columns: see `item.Item`.
      location: of the bytes, for the second pass.
      facts: of the image.
    """

    key: str
    path: str
    label: str
    split: str
    group: str
    weight: float
    location: ByteLocation
    facts: ImageFacts
    line: int = 0
    columns: tuple[str, ...] = ()


class InspectImages(beam.DoFn):
    """Turns batches of Item into (key, InspectedImage), or into rows of the quarantine; counts both in another report.

    The counts are one row per bundle, since counting the images in steps of their own would cost more.
    """

    def __init__(self, reader: Reader, config: IngestionConfig, scratch: str, progress_folder: str, total_work: int):
        """Stores the arguments.

        Args:
          reader: of the source.
          config: what an image must be like.
          scratch: see `Reader`.
          progress_folder: where the workers write their progress.
          total_work: of all items, see `work_of`.
        """
        self._reader, self._config, self._scratch = reader, config, scratch
        self._progress_folder, self._total_work = progress_folder, total_work

    def setup(self) -> None:
        self._tally = progress.Tally.of(self._progress_folder, self._total_work)
        sizes = (parallelism.THREADS, parallelism.REMOTE_THREADS)
        self._pools = {threads: ThreadPoolExecutor(threads) for threads in sizes}

    def teardown(self) -> None:
        for pool in self._pools.values():
            pool.shutdown()

    def start_bundle(self) -> None:
        self._found = 0

    def process(self, batch: list[Item]) -> Iterator[Any]:
        for image in self._inspect_batch(batch):
            self._found += 1
            yield image

    def finish_bundle(self) -> Iterator[Any]:
        row = {"path": "", "found": self._found}
        yield bundle_summary.output(report_writer.ROWS, (report_writer.FOUND, row))

    def _inspect_batch(self, batch: list[Item]) -> Iterator[Any]:
        threads = parallelism.threads_for(item.uri for item in batch)
        pool = self._pools[threads]
        image_files = [item for item in batch if not item.records]
        for images in parallelism.map_in_order(pool, self._inspect_file, image_files, threads):
            yield from images
        for item in batch:
            if item.records:
                records = self._reader.images(item, self._scratch)
                yield from parallelism.map_in_order(pool, self._inspect, records, threads)
                self._tally.add(0, work_of(item))

    def _inspect_file(self, item: Item) -> list[Any]:
        images = [self._inspect(image) for image in self._reader.images(item, self._scratch)]
        self._tally.add(0, work_of(item))
        return images

    def _inspect(self, image: RawImage) -> Any:
        self._tally.add(1, 0)
        rejection = image.rejection
        if rejection is None:
            try:
                facts = inspect_image(image.encoded, self._config)
            except UnusableError as error:
                rejection = error.rejection
        if rejection is not None:
            return report_writer.to(report.QUARANTINE, RejectedImage(image.path, *rejection, image.location))
        key = hashlib.sha256(image.encoded).hexdigest()
        return key, InspectedImage(
            key,
            image.path,
            image.label,
            image.split,
            image.group,
            image.weight,
            image.location,
            facts,
            image.line,
            image.columns,
        )


def work_of(item: Item) -> int:
    """The share of an item in all work: the size of a file of records, 1 for an image file."""
    return item.size if item.records else 1


def inspect_image(encoded: bytes, config: IngestionConfig) -> ImageFacts:
    """Decodes an image.

    Args:
      encoded: the file's bytes.
      config: `max_pixels`, `min_side` and `near_duplicates` are used.

    Raises:
      UnusableError: if the bytes cannot become an example.
    """
    with agreement.open_image(encoded) as image:
        format_name = _identify_format(image, config)
        decoded = agreement.decode(encoded, image, format_name, config.max_pixels)
        camera_name = camera.name_of(image)
    perceptual_hash = None if config.near_duplicates == "ignore" else near_duplicates.perceptual_hash(decoded.small)
    (width, height), measured = decoded.size, content.measure(decoded.small)
    return ImageFacts(
        format_name,
        height,
        width,
        measured.brightness,
        measured.sharpness,
        camera_name,
        perceptual_hash,
        decoded.transcoded,
        measured.is_little,
    )


def _identify_format(image: PIL.Image.Image, config: IngestionConfig) -> str:
    """The format. Only the header has been read, so a decompression bomb is rejected before it is decoded."""
    format_name, (width, height) = image.format or "", image.size
    if width * height > config.max_pixels:
        detail = f"{width}x{height} pixels; data.max_pixels allows at most {config.max_pixels} pixels"
        raise UnusableError(Reason.TOO_LARGE, detail)
    if min(width, height) < config.min_side:
        detail = f"{width}x{height} pixels; data.min_side requires at least {config.min_side} pixels per side"
        raise UnusableError(Reason.TOO_SMALL, detail)
    # MPO is a JPEG followed by more pictures.
    format_name = {"MPO": "JPEG", "DIB": "BMP"}.get(format_name, format_name)
    if format_name in (*features.FORMATS, *features.TRANSCODED_FORMATS):
        return format_name
    raise UnusableError(Reason.UNSUPPORTED_FORMAT, f"{format_name}, {width}x{height} pixels")
