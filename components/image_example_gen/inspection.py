"""Looks at one image's bytes: what it is, and whether every later stage will be able to decode it."""

from __future__ import annotations

import contextlib
import functools
import io
import struct
from typing import NamedTuple

import numpy as np
import PIL
import PIL.Image
import PIL.ImageOps
import PIL.ImageStat
import tensorflow as tf

from components.image_example_gen import resemblance
from components.image_example_gen.reasons import Reason, UnusableError
from components.image_example_gen.settings import Settings
from modules import features, preprocessing
from modules.errors import said_by_op

with contextlib.suppress(ImportError):  # unless the extra `heif` is installed
    import pillow_heif

    pillow_heif.register_heif_opener()

# Judged by `Settings.max_pixels` instead, before anything is decoded.
PIL.Image.MAX_IMAGE_PIXELS = None
PIL.Image.init()  # all readers now: several threads would do it at the same time

# What PNG can hold, by the mode that an image has: the rest is made RGB, which loses no more than any decoder would.
_PNG_MODES = {mode: mode for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")}
_PNG_MODES |= {"I;16B": "I;16", "I;16L": "I;16", "PA": "RGBA", "La": "LA", "RGBa": "RGBA"}
_PNG_MODES |= dict.fromkeys(("RGBX", "CMYK", "YCbCr", "HSV"), "RGB")


class ImageFacts(NamedTuple):
    """What is recorded of an image beside its bytes.

    Attributes:
      format: as found, by Pillow's name for it.
      height, width: pixels, upright, as the transform graph decodes it.
      brightness: mean luma (Rec. 601), [0, 1].
      look: what images are compared by; None if there is too little in it, or nobody asked.
      transcoded: whether the example holds other bytes than were found, see `transcoded`.
    """

    format: str
    height: int
    width: int
    brightness: float
    look: resemblance.Look | None
    transcoded: bool


def inspect(encoded: bytes, settings: Settings, compare: bool = True) -> ImageFacts:
    """Decodes an image with the very ops that the transform graph uses.

    Args:
      encoded: the file.
      settings: `max_pixels` and `min_side` hold.
      compare: whether images will be compared.

    Raises:
      UnusableError: with the reason, if the bytes can't become an example.
    """
    found, needs_transcoding = _identify(encoded, settings)
    pixels = _decoded(transcoded(encoded) if needs_transcoding else encoded)
    small = resemblance.reduced(pixels)
    look = resemblance.look(small) if compare else None
    brightness = PIL.ImageStat.Stat(small.convert("L")).mean[0] / 255
    return ImageFacts(found, pixels.shape[0], pixels.shape[1], round(brightness, 6), look, needs_transcoding)


def transcoded(encoded: bytes) -> bytes:
    """An image that TensorFlow's decoders don't know as PNG, upright, without loss where PNG has such pixels.

    Raises:
      UnusableError: if Pillow can't decode it, or it has pixels of a kind that has no place in PNG.
    """
    try:
        with PIL.Image.open(io.BytesIO(encoded)) as image:
            mode = _PNG_MODES.get(image.mode)
            if mode is None:
                raise UnusableError(Reason.UNSUPPORTED_FORMAT, f"{image.format} of pixels {image.mode!r}")
            upright = PIL.ImageOps.exif_transpose(image)
            buffer = io.BytesIO()
            clean = upright if upright.mode == mode else upright.convert(mode)
            clean.info = {key: value for key, value in clean.info.items() if key == "transparency"}
            clean.save(buffer, "PNG", compress_level=1)
            return buffer.getvalue()
    except UnusableError:
        raise
    except Exception as error:  # Pillow's readers raise whatever their parsing trips over
        raise UnusableError(Reason.TRUNCATED, _first_line(str(error))) from None


def thumbnail(encoded: bytes, side: int, max_pixels: int) -> bytes | None:
    """What can be seen of a file that was refused, as a PNG at most `side` pixels wide and high; None if nothing."""
    # A JPEG that is cut short shows what came before, once it has an end.
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
    return tf.function(preprocessing.decode, input_signature=[tf.TensorSpec([], tf.string)], autograph=False)


def _decoded(encoded: bytes) -> np.ndarray:
    try:
        return _decoder()(tf.constant(encoded)).numpy()
    except (tf.errors.InvalidArgumentError, tf.errors.ResourceExhaustedError) as error:
        raise UnusableError(Reason.TRUNCATED, _first_line(said_by_op(error.message))) from None


def _identify(encoded: bytes, settings: Settings) -> tuple[str, bool]:
    """The format, and whether it has to be transcoded, by the header alone: nothing that could be a bomb is decoded."""
    if not encoded:
        raise UnusableError(Reason.NOT_AN_IMAGE, "the file has no bytes")
    try:
        with PIL.Image.open(io.BytesIO(encoded)) as image:
            found, (width, height), bits = image.format or "", image.size, _bmp_bits(encoded)
    except PIL.UnidentifiedImageError:
        if encoded[4:12] in (b"ftypheic", b"ftypmif1", b"ftypheix"):
            raise UnusableError(Reason.UNSUPPORTED_FORMAT, "HEIF; the package pillow-heif would read it") from None
        raise UnusableError(Reason.NOT_AN_IMAGE, f"starts with {encoded[:12]!r}") from None
    except Exception as error:  # as above, in a header that lies
        raise UnusableError(Reason.TRUNCATED, _first_line(str(error))) from None
    if width * height > settings.max_pixels:
        raise UnusableError(Reason.TOO_LARGE, f"{width}x{height}; at most {settings.max_pixels} pixels are allowed")
    if min(width, height) < settings.min_side:
        raise UnusableError(Reason.TOO_SMALL, f"{width}x{height}; {settings.min_side} pixels a side are needed")
    found = {"MPO": "JPEG", "DIB": "BMP"}.get(found, found)  # MPO: a JPEG with further pictures behind the first
    if found in features.FORMATS and bits in (None, 24, 32):
        return found, False
    if found in features.TRANSCODED_FORMATS or bits is not None:
        return found, True
    raise UnusableError(Reason.UNSUPPORTED_FORMAT, f"{found}, {width}x{height}")


def _bmp_bits(encoded: bytes) -> int | None:
    """Bits a pixel of a BMP, 0 if it is compressed; None if it is none.

    TensorFlow reads its pixels as they stand: a palette or a compression would come out as other colours. The header:
    https://learn.microsoft.com/en-us/windows/win32/api/wingdi/ns-wingdi-bitmapinfoheader
    """
    if encoded[:2] != b"BM":
        return None
    bits, compression = (struct.unpack_from(code, encoded, at)[0] for code, at in (("<H", 28), ("<I", 30)))
    return bits if compression in (0, 3) else 0


def _first_line(message: str) -> str:
    return message.strip().splitlines()[0][:300] if message.strip() else "no further detail"
