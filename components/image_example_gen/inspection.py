"""The first pass: each image is read and decoded once, to find out whether every later stage can use it."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import PIL
import PIL.Image
import PIL.ImageOps
import PIL.ImageStat
import tensorflow as tf

from components import progress
from components.image_example_gen import near_duplicates, parallelism
from components.image_example_gen.byte_location import ByteLocation
from components.image_example_gen.near_duplicates import PerceptualHash
from components.image_example_gen.quarantine import Reason, RejectedImage, UnusableError
from components.image_example_gen.sources.item import Item
from components.image_example_gen.sources.readers import RawImage, Reader
from config.data import IngestionConfig
from config.errors import one_line, op_message
from modules.data import decoding, features

with contextlib.suppress(ImportError):  # present if the extra `heif` is installed
    import pillow_heif

    pillow_heif.register_heif_opener()

# `IngestionConfig.max_pixels` applies instead, before anything is decoded.
PIL.Image.MAX_IMAGE_PIXELS = None
PIL.Image.init()  # loads all readers now; otherwise several threads would load them at the same time

BATCH_SIZE = 64  # items that a worker takes at a time
REJECTED = "rejected"  # tag of the second output

# The mode in which PNG stores an image of another mode. Modes that PNG lacks become RGB, as in any decoder.
_PNG_MODES = {mode: mode for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")}
_PNG_MODES |= {"I;16B": "I;16", "I;16L": "I;16", "PA": "RGBA", "La": "LA", "RGBa": "RGBA"}
_PNG_MODES |= dict.fromkeys(("RGBX", "CMYK", "YCbCr", "HSV"), "RGB")


class ImageFacts(NamedTuple):
    """What is recorded of an image beside its bytes.

    Attributes:
      format: of the original file, as Pillow names it.
      height, width: pixels, with EXIF rotation applied, as the transform graph decodes the image.
      brightness: mean luma (Rec. 601), [0, 1].
      perceptual_hash: for the search for near-duplicates; None if it is off, or the image is nearly plain.
      transcoded: whether the example holds other bytes than the file, see `transcode_to_png`.
    """

    format: str
    height: int
    width: int
    brightness: float
    perceptual_hash: PerceptualHash | None
    transcoded: bool


class InspectedImage(NamedTuple):
    """An image that can become an example, without its pixels.

    Attributes:
      key: SHA-256 of the file's bytes, hexadecimal.
      path, label, split, group, weight: see `item.Item`.
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


class InspectImages(beam.DoFn):
    """Turns batches of Item into InspectedImage, or into RejectedImage with the tag `REJECTED`."""

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

    def process(self, batch: list[Item]) -> Iterator[Any]:
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
            return beam.pvalue.TaggedOutput(REJECTED, RejectedImage(image.path, *rejection, image.location))
        key = hashlib.sha256(image.encoded).hexdigest()
        return InspectedImage(
            key, image.path, image.label, image.split, image.group, image.weight, image.location, facts
        )


def work_of(item: Item) -> int:
    """The share of an item in all work: the size of a file of records, 1 for an image file."""
    return item.size if item.records else 1


def inspect_image(encoded: bytes, config: IngestionConfig) -> ImageFacts:
    """Decodes an image with the same ops as the transform graph.

    Args:
      encoded: the file's bytes.
      config: `max_pixels`, `min_side` and `near_duplicates` are used.

    Raises:
      UnusableError: if the bytes cannot become an example.
    """
    format_name, needs_transcoding = _identify_format(encoded, config)
    pixels = _decode(transcode_to_png(encoded) if needs_transcoding else encoded)
    small = near_duplicates.shrink(pixels)
    perceptual_hash = None if config.near_duplicates == "ignore" else near_duplicates.perceptual_hash(small)
    brightness = PIL.ImageStat.Stat(small.convert("L")).mean[0] / 255
    height, width = pixels.shape[:2]
    return ImageFacts(format_name, height, width, round(brightness, 6), perceptual_hash, needs_transcoding)


def transcode_to_png(encoded: bytes) -> bytes:
    """Converts an image that TensorFlow cannot decode to PNG, with EXIF rotation applied.

    The conversion is lossless where PNG has such pixels.

    Raises:
      UnusableError: if Pillow cannot decode the image, or PNG has no equivalent of its pixels.
    """
    try:
        with PIL.Image.open(io.BytesIO(encoded)) as image:
            mode = _PNG_MODES.get(image.mode)
            if mode is None:
                raise UnusableError(Reason.UNSUPPORTED_FORMAT, f"{image.format} with pixels of mode {image.mode!r}")
            upright = PIL.ImageOps.exif_transpose(image)
            buffer = io.BytesIO()
            clean = upright if upright.mode == mode else upright.convert(mode)
            clean.info = {key: value for key, value in clean.info.items() if key == "transparency"}
            clean.save(buffer, "PNG", compress_level=1)
            return buffer.getvalue()
    except UnusableError:
        raise
    except Exception as error:  # Pillow's readers raise errors of any type
        raise UnusableError(Reason.TRUNCATED, one_line(error)) from None


def make_thumbnail(encoded: bytes, side: int, max_pixels: int) -> bytes | None:
    """A small PNG of a rejected image, at most `side` pixels wide and high; None if nothing can be shown."""
    # Pillow decodes the first part of a truncated JPEG once an end marker is added.
    for content in (encoded, encoded + b"\xff\xd9"):
        with contextlib.suppress(Exception):
            with PIL.Image.open(io.BytesIO(content)) as image:
                known = image.format in (*features.FORMATS, "MPO", *features.TRANSCODED_FORMATS)
                if not known or image.mode not in _PNG_MODES or image.width * image.height > max_pixels:
                    return None
                image.draft("RGB", (side, side))
                small = PIL.ImageOps.exif_transpose(image).convert("RGB")
            small.thumbnail((side, side))
            buffer = io.BytesIO()
            small.save(buffer, "PNG")
            return buffer.getvalue()
    return None


@functools.cache
def _decoder() -> tf.types.experimental.PolymorphicFunction:
    return tf.function(decoding.decode, input_signature=[tf.TensorSpec([], tf.string)], autograph=False)


def _decode(encoded: bytes) -> np.ndarray:
    try:
        return _decoder()(tf.constant(encoded)).numpy()
    except (tf.errors.InvalidArgumentError, tf.errors.ResourceExhaustedError) as error:
        raise UnusableError(Reason.TRUNCATED, one_line(op_message(error.message) or error)) from None


def _identify_format(encoded: bytes, config: IngestionConfig) -> tuple[str, bool]:
    """The format, and whether the image must be transcoded.

    Only the header is read, so a decompression bomb is rejected before it is decoded.
    """
    if not encoded:
        raise UnusableError(Reason.NOT_AN_IMAGE, "the file is empty")
    try:
        with PIL.Image.open(io.BytesIO(encoded)) as image:
            format_name, (width, height), bmp_bits = image.format or "", image.size, _bmp_bits(encoded)
    except PIL.UnidentifiedImageError:
        if encoded[4:12] in (b"ftypheic", b"ftypmif1", b"ftypheix"):
            raise UnusableError(Reason.UNSUPPORTED_FORMAT, "HEIF; install the package pillow-heif to read it") from None
        raise UnusableError(Reason.NOT_AN_IMAGE, f"the file starts with {encoded[:12]!r}") from None
    except Exception as error:  # Pillow's readers raise errors of any type
        raise UnusableError(Reason.TRUNCATED, one_line(error)) from None
    if width * height > config.max_pixels:
        detail = f"{width}x{height} pixels; data.max_pixels allows at most {config.max_pixels} pixels"
        raise UnusableError(Reason.TOO_LARGE, detail)
    if min(width, height) < config.min_side:
        detail = f"{width}x{height} pixels; data.min_side requires at least {config.min_side} pixels per side"
        raise UnusableError(Reason.TOO_SMALL, detail)
    # MPO is a JPEG followed by more pictures.
    format_name = {"MPO": "JPEG", "DIB": "BMP"}.get(format_name, format_name)
    if format_name in features.FORMATS and bmp_bits in (None, 24, 32):
        return format_name, False
    if format_name in features.TRANSCODED_FORMATS or bmp_bits is not None:
        return format_name, True
    raise UnusableError(Reason.UNSUPPORTED_FORMAT, f"{format_name}, {width}x{height} pixels")


def _bmp_bits(encoded: bytes) -> int | None:
    """Bits per pixel of a BMP, 0 if it is compressed; None for any other format.

    TensorFlow ignores palettes and compression, so the colours of such a BMP would be wrong. The header:
    https://learn.microsoft.com/en-us/windows/win32/api/wingdi/ns-wingdi-bitmapinfoheader
    """
    if encoded[:2] != b"BM":
        return None
    bits, compression = (struct.unpack_from(code, encoded, at)[0] for code, at in (("<H", 28), ("<I", 30)))
    return bits if compression in (0, 3) else 0
