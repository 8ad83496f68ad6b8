"""The picture of a file as Pillow makes it: the first frame, upright, transparency on a white background.

The transform graph has to make the same picture of the same file, see `comparison`.
"""

from __future__ import annotations

import contextlib
import io
import re
import struct
import warnings
import zlib
from typing import NamedTuple

import numpy as np
import PIL
import PIL.ExifTags
import PIL.Image

from components.image_example_gen import comparison, deep_colour, png_repair
from components.image_example_gen.quarantine import Reason, UnusableError
from config.errors import one_line
from modules.data.decoders import png, sixteen_bits, transparency

with contextlib.suppress(ImportError):  # present if the extra `heif` is installed
    import pillow_heif

    pillow_heif.register_heif_opener()

# `IngestionConfig.max_pixels` applies instead, before anything is decoded.
PIL.Image.MAX_IMAGE_PIXELS = None
PIL.Image.init()  # loads all readers now; otherwise several threads would load them at the same time

MODES = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"}
"""Modes of Pillow that become RGB, beside those of `deep_colour.GREY`."""

_PREMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}
_TRANSPOSE = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
    3: PIL.Image.Transpose.ROTATE_180,
    4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_270,
    7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}
# Whether rows and columns are read from their ends, in an image whose sides have been swapped if need be.
_REVERSED = {2: (1, -1), 3: (-1, -1), 4: (-1, 1), 6: (-1, 1), 7: (-1, -1), 8: (1, -1)}
_IN_XMP = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')
_TOP = 32  # rows of a PNG that are compared
_OPAQUE = (0, 2, 3)  # colour types of a PNG: grey, RGB, palette
_LEAST_SIDE = 16  # pixels of a JPEG that is decoded at a fraction of its size
_PHOTOMETRIC = 262  # tag of TIFF: 0 means that white is 0
_PILLOWS_WARNINGS = ("ignore", None, Warning, re.compile(r"PIL\."), 0)


def open_image(encoded: bytes) -> PIL.Image.Image:
    """Reads the header of a file. Close the image after use.

    Raises:
      UnusableError: if Pillow cannot read it.
    """
    if not encoded:
        raise UnusableError(Reason.NOT_AN_IMAGE, "the file is empty")
    _silence_pillow()
    try:
        return PIL.Image.open(io.BytesIO(encoded))
    except Exception as error:  # Pillow's readers raise errors of any type
        if encoded.startswith(png.MAGIC) and (repaired := png_repair.without_odd_chunks(encoded)) != encoded:
            return open_image(repaired)
        raise UnusableError(*_reason(encoded, error)) from None


def _silence_pillow() -> None:
    """Its warnings are about damaged metadata, which decide nothing.

    Each time, since other libraries put filters before this one, or restore the filters that were there earlier.
    """
    if warnings.filters[0] != _PILLOWS_WARNINGS:
        warnings.filterwarnings("ignore", module=r"PIL\.")


def _reason(encoded: bytes, error: Exception) -> tuple[Reason, str]:
    if isinstance(error, PIL.UnidentifiedImageError):
        if encoded[4:12] in (b"ftypheic", b"ftypmif1", b"ftypheix"):
            return Reason.UNSUPPORTED_FORMAT, "HEIF; install the package pillow-heif to read it"
        return Reason.NOT_AN_IMAGE, f"the file starts with {encoded[:12]!r}"
    detail = one_line(error)
    return Reason.UNSUPPORTED_FORMAT if "unsupported" in detail.lower() else Reason.TRUNCATED, detail


def load(encoded: bytes) -> PIL.Image.Image:
    """Decodes a file.

    Returns:
      an image of mode RGB, or of 16 bits of grey, upright.

    Raises:
      UnusableError: if Pillow cannot decode the image, or its pixels cannot become RGB, or too few bits of them are
        left.
    """
    with open_image(encoded) as image:
        cut = deep_colour.is_cut(encoded, image)
        picture = decode(image)
        if cut:
            deep_colour.check(image)
        return picture


def decode(image: PIL.Image.Image, upright: bool = True) -> PIL.Image.Image:
    """As `load`, of an image that is open."""
    if image.mode not in MODES and image.mode not in deep_colour.GREY:
        raise UnusableError(Reason.UNSUPPORTED_FORMAT, f"{image.format} with pixels of mode {image.mode!r}")
    try:
        image.load()
        opaque = _on_background(image)
        turned = _TRANSPOSE.get(orientation_of(image)) if upright else None
        return opaque.transpose(turned) if turned is not None else opaque
    except Exception as error:  # Pillow's readers raise errors of any type
        raise UnusableError(Reason.TRUNCATED, one_line(error)) from None


class JpegPreview(NamedTuple):
    """A JPEG at a fraction of its size, which takes a fraction of the time to decode.

    Attributes:
      reduced: RGB, as stored, not upright; its last row and column may reach beyond the picture.
      factor: 1, 2, 4 or 8; each pixel is the mean of a square of so many pixels.
      size: of the whole picture as stored, width and height.
      orientation: 1 to 8; any other number means 1.
    """

    reduced: PIL.Image.Image
    factor: int
    size: tuple[int, int]
    orientation: int

    def grid(self) -> PIL.Image.Image:
        """See `comparison.grid`; upright."""
        cells = comparison.grid(self.reduced, self.factor, self.size)
        turned = _TRANSPOSE.get(self.orientation)
        return cells.transpose(turned) if turned is not None else cells

    def as_stored(self, upright: np.ndarray) -> np.ndarray:
        """A view of the whole picture [height, width, 3] before it was turned upright."""
        if self.orientation in (5, 6, 7, 8):
            upright = upright.swapaxes(0, 1)
        rows, columns = _REVERSED.get(self.orientation, (1, 1))
        return upright[::rows, ::columns]


def preview_jpeg(image: PIL.Image.Image) -> JpegPreview:
    """Decodes a JPEG that is open at a fraction of its size.

    Raises:
      UnusableError: if Pillow cannot decode the image.
    """
    size = image.size
    factor = next((factor for factor in (8, 4, 2) if min(size) // factor >= _LEAST_SIDE), 1)
    image.draft(None, (size[0] // factor, size[1] // factor))
    return JpegPreview(decode(image, upright=False), factor, size, orientation_of(image))


def load_top(encoded: bytes, image: PIL.Image.Image) -> PIL.Image.Image | None:
    """The first rows of a PNG, RGB, which take a fraction of the time to decode; None if they do not stand for all.

    They do if all pixels are stored in the same way: at most 8 bits, no transparency, not interlaced, not turned. If
    the file has too few pixels, libpng fails.

    Args:
      encoded: the file.
      image: the same, open.
    """
    bits, colour_type, _, _, interlaced = encoded[24:29]
    if (
        encoded[12:16] != b"IHDR"
        or bits > 8
        or colour_type not in _OPAQUE
        or interlaced
        or "transparency" in image.info
        or image.height <= _TOP
    ):
        return None
    header = b"IHDR" + encoded[16:20] + struct.pack(">I", _TOP) + encoded[24:29]
    start = encoded[:12] + header + struct.pack(">I", zlib.crc32(header))
    with open_image(start + encoded[33:]) as top:
        rows = decode(top, upright=False)
        return rows if orientation_of(top) == 1 else None


def loses_bits(encoded: bytes, image: PIL.Image.Image) -> bool:
    """Whether Pillow's picture lacks what a PNG of 16 bits holds: transparency, or colours of 12 bits.

    Pillow has no mode for 16 bits in colour or with opacity. It keeps the upper eight, and compares a transparent
    colour with these. Which bits are in use is decided before transparency is composed, see `sixteen_bits.to_eight`.

    Args:
      encoded: the file.
      image: the same, open.
    """
    if image.format != "PNG" or encoded[12:16] != b"IHDR" or encoded[24] != 16:
        return False
    if image.has_transparency_data or "transparency" in image.info:
        return True
    return encoded[25] != 0 and bool(np.max(decode(image, upright=False).getextrema()) < 16)


def as_rgb(image: PIL.Image.Image) -> PIL.Image.Image:
    """RGB of an image as `load` returns it; 16 bits become 8 as in `sixteen_bits.to_eight`."""
    if image.mode == "RGB":
        return image
    values = np.asarray(image)
    grey = sixteen_bits.to_eight_bits(values)
    return PIL.Image.fromarray(grey).convert("RGB")


def to_png(image: PIL.Image.Image) -> bytes:
    """A PNG of an image as `load` returns it, without metadata."""
    buffer = io.BytesIO()
    image.info = {}
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _on_background(image: PIL.Image.Image) -> PIL.Image.Image:
    """RGB, or 16 bits of grey as they are."""
    white_is_zero = image.format == "TIFF" and image.tag_v2.get(_PHOTOMETRIC, 0) == 0  # type: ignore[attr-defined]
    image = image.convert(_PREMULTIPLIED.get(image.mode, image.mode))
    if image.mode in deep_colour.GREY:
        values = np.asarray(image).astype(np.uint16)
        if white_is_zero:  # the values in use decide on the depth, and Pillow inverts only 8 bits
            return PIL.Image.fromarray(255 - sixteen_bits.to_eight_bits(values)).convert("RGB")
        return PIL.Image.fromarray(values)
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    background = PIL.Image.new("RGBA", image.size, (transparency.BACKGROUND,) * 3 + (255,))
    return PIL.Image.alpha_composite(background, layer).convert("RGB")


def orientation_of(image: PIL.Image.Image) -> int:
    """As `ImageOps.exif_transpose` finds it; damaged EXIF names none, which is 1."""
    try:
        value = image.getexif().get(PIL.ExifTags.Base.Orientation)
    except Exception:  # Pillow's readers raise errors of any type
        xmp = image.info.get("xmp")
        found = _IN_XMP.search(xmp) if isinstance(xmp, bytes) else None
        value = int(found[1]) if found else None
    return value if isinstance(value, int) else 1
