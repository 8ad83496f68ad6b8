"""Looks at one file's bytes: what image it is, and whether every later stage will be able to decode it."""

from __future__ import annotations

import enum
import io
import re
import struct
import warnings
from dataclasses import dataclass

import PIL
import PIL.Image
import tensorflow as tf

from modules import features, preprocessing


class Reason(enum.StrEnum):
    """Why a file is quarantined; a closed list."""

    UNREADABLE = "unreadable"  # the file system would not give its bytes
    LINKED_FOLDER = "linked-folder"  # a symbolic link to a folder, not followed
    NO_LABEL = "no-label"  # stands in no class folder
    EMPTY = "empty"  # no bytes
    NOT_AN_IMAGE = "not-an-image"
    UNSUPPORTED_FORMAT = "unsupported-format"  # an image, but not one that TensorFlow decodes faithfully
    TOO_LARGE = "too-large"  # more pixels than Pillow thinks safe, judged by the header
    DAMAGED = "damaged"  # begins as an image and can't be decoded to its end


class UnusableError(Exception):
    """This file can't be an example."""

    def __init__(self, reason: Reason, detail: str):
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class ImageFacts:
    """What is recorded of an image beside its bytes; sizes in pixels, as decoded."""

    format: str
    height: int
    width: int


def inspect(encoded: bytes) -> ImageFacts:
    """Decodes an image with the very op that the transform graph uses.

    Raises:
      UnusableError: with the reason, if the bytes can't become an example.
    """
    if not encoded:
        raise UnusableError(Reason.EMPTY, "the file has no bytes")
    found = _identify(encoded)
    try:
        height, width, _ = preprocessing.decode(tf.constant(encoded)).shape
    except (tf.errors.InvalidArgumentError, tf.errors.ResourceExhaustedError) as error:
        raise UnusableError(Reason.DAMAGED, _first_line(error.message)) from None
    return ImageFacts(found, height, width)


def _identify(encoded: bytes) -> str:
    """The format, judged from the header alone: nothing is decoded yet, so that a bomb can't go off."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
            with PIL.Image.open(io.BytesIO(encoded)) as image:
                found, size = image.format or "", image.size
    except (PIL.Image.DecompressionBombWarning, PIL.Image.DecompressionBombError) as error:
        raise UnusableError(Reason.TOO_LARGE, _first_line(str(error))) from None
    except PIL.UnidentifiedImageError:
        raise UnusableError(Reason.NOT_AN_IMAGE, f"starts with {encoded[:12]!r}") from None
    # Pillow's readers raise whatever their parsing trips over in a header that lies.
    except (OSError, ValueError, SyntaxError, struct.error, IndexError, OverflowError, EOFError) as error:
        raise UnusableError(Reason.DAMAGED, _first_line(str(error))) from None
    found = {"MPO": "JPEG", "DIB": "BMP"}.get(found, found)  # a JPEG with further pictures behind the first
    if found not in features.FORMATS:
        raise UnusableError(
            Reason.UNSUPPORTED_FORMAT, f"{found}, {size[0]}x{size[1]}; supported are {', '.join(features.FORMATS)}"
        )
    if found == "BMP":
        _check_bmp(encoded)
    return found


def _check_bmp(encoded: bytes) -> None:
    """TensorFlow reads a BMP's pixels as they stand: a palette or a compression would come out as other colours.

    Header layout: https://learn.microsoft.com/en-us/windows/win32/api/wingdi/ns-wingdi-bitmapinfoheader
    """
    bits, compression = (struct.unpack_from(code, encoded, at)[0] for code, at in (("<H", 28), ("<I", 30)))
    if bits not in (24, 32) or compression not in (0, 3):
        raise UnusableError(
            Reason.UNSUPPORTED_FORMAT, f"BMP of {bits} bits, compression {compression}; 24 or 32 bits are supported"
        )


def _first_line(message: str) -> str:
    # TensorFlow puts the op's place in the graph, in double braces, before what the op has to say.
    said = re.sub(r"\{\{.*?\}\}", "", message).strip()
    return said.splitlines()[0][:300] if said else "no further detail"
