"""Colours of 16 bits per channel, of which Pillow keeps the upper eight.

Pillow has no mode for them. If a file uses only 12 of the 16 bits, as many cameras do, what Pillow keeps is nearly
black, and the lower bits are lost.
"""

from __future__ import annotations

import re

import numpy as np
import PIL.Image

from components.image_example_gen.quarantine import Reason, UnusableError

GREY = {"I;16", "I;16L", "I;16B", "I;16N"}
"""Modes of Pillow with 16 bits of grey, in which nothing is cut."""

_MOST = 16  # of 255: what 12 bits reach at most in 16, rounded
_DECLARED = 12  # bits; with more, a file may be of a device that uses 12 of them
_J2K_SIZE = b"\xff\x4f\xff\x51"  # the markers SOC and SIZ of JPEG 2000
_DEEP_PNG = re.compile(rb"\x89PNG\r\n\x1a\n.{4}IHDR.{8}\x10", re.DOTALL)
_BITS, _COMPRESSION, _PLANES, _PALETTE = 258, 259, 284, 320  # tags of TIFF


def is_cut(encoded: bytes, image: PIL.Image.Image) -> bool:
    """Whether Pillow keeps eight of more than 12 bits. A PNG is not asked for, see `reference.loses_bits`.

    Args:
      encoded: the file.
      image: the same, open, but not yet decoded.

    Raises:
      UnusableError: if Pillow mixes the bytes up.
    """
    if image.mode in GREY:
        return False
    if image.format == "TIFF":
        return _is_cut_tiff(image)
    if image.format == "SGI":
        return encoded[3] == 2  # bytes per channel
    if image.format == "PPM":
        arguments = image.tile[0].args  # type: ignore[attr-defined]
        return isinstance(arguments, tuple) and isinstance(arguments[-1], int) and arguments[-1] >= 1 << _DECLARED
    if image.format == "ICO":
        return _DEEP_PNG.search(encoded) is not None
    if image.format == "JPEG2000":
        at = encoded.find(_J2K_SIZE)
        return at >= 0 and any((bits & 0x7F) + 1 > _DECLARED for bits in encoded[at + 42 :: 3][: encoded[at + 41]])
    return False


def _is_cut_tiff(image: PIL.Image.Image) -> bool:
    tags = image.tag_v2  # type: ignore[attr-defined]
    if image.mode in ("P", "PA"):
        if max(tags.get(_PALETTE, (65535,))) < 1 << _DECLARED:
            raise _unusable(image, "a palette of ")
        return False
    if max(tags.get(_BITS, (1,))) <= 8:
        return False
    if tags.get(_PLANES, 1) == 2 and tags.get(_COMPRESSION, 1) == 1:
        detail = "TIFF with 16 bits per channel in separate planes, which Pillow mixes up; save it as PNG"
        raise UnusableError(Reason.UNSUPPORTED_FORMAT, detail)
    return True


def check(image: PIL.Image.Image) -> None:
    """Refuses an image of which Pillow kept next to nothing.

    Args:
      image: decoded, of a file that `is_cut`.

    Raises:
      UnusableError: if no visible value, or no opacity, is above what 12 bits reach.
    """
    values = np.asarray(image)
    visible, opacity = values, np.array(255)
    if image.mode[-1] in "Aa":
        opacity = values[:, :, -1]
        visible = values[:, :, :-1][opacity > 0]
    if opacity.max() <= _MOST or visible.max(initial=0) <= _MOST:
        raise _unusable(image)


def _unusable(image: PIL.Image.Image, what: str = "") -> UnusableError:
    detail = (
        f"{image.format} with {what}16 bits per channel, of which at most 12 are used; Pillow keeps the upper eight, "
        "in which next to nothing is left; save it as PNG"
    )
    return UnusableError(Reason.UNSUPPORTED_FORMAT, detail)
