"""Images that cannot become examples, and the reasons."""

from __future__ import annotations

import enum
from typing import NamedTuple

from components.image_example_gen.byte_location import ByteLocation


class Reason(enum.StrEnum):
    """Why an image is quarantined. These are all the reasons."""

    UNREADABLE = "unreadable"  # cannot be opened, is outside the data folder, or is a record without its fields
    TRUNCATED = "truncated"  # starts as an image, but cannot be decoded to its end: cut short or damaged
    NOT_AN_IMAGE = "not-an-image"
    UNSUPPORTED_FORMAT = "unsupported-format"  # neither TensorFlow nor Pillow can make RGB pixels of it
    TOO_LARGE = "too-large"  # has more pixels than data.max_pixels, according to its header
    TOO_SMALL = "too-small"  # its shorter side is below data.min_side
    NO_LABEL = "no-label"
    UNKNOWN_LABEL = "unknown-label"  # not in data.classes, or not a valid class name


class Rejection(NamedTuple):
    """Why one image is quarantined.

    Attributes:
      reason: the kind of problem.
      detail: the problem in words.
    """

    reason: Reason
    detail: str


class RejectedImage(NamedTuple):
    """An image that cannot become an example.

    Attributes:
      path: see `item.Item`.
      reason, detail: see `Rejection`.
      location: of its bytes; the URI is empty if they must not be read.
    """

    path: str
    reason: Reason
    detail: str
    location: ByteLocation


class UnusableError(Exception):
    """An image's bytes cannot become an example."""

    def __init__(self, reason: Reason, detail: str):
        super().__init__(f"{reason}: {detail}")
        self.rejection = Rejection(reason, detail)
