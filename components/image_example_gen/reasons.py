"""Why an image is quarantined."""

from __future__ import annotations

import enum


class Reason(enum.StrEnum):
    """A closed list."""

    UNREADABLE = "unreadable"  # its bytes can't be had, or mustn't be: no such file, no permission, outside the root
    TRUNCATED = "truncated"  # begins as an image and can't be decoded to its end: cut short or damaged
    NOT_AN_IMAGE = "not-an-image"
    UNSUPPORTED_FORMAT = "unsupported-format"  # an image that neither TensorFlow nor Pillow makes RGB pixels of
    TOO_LARGE = "too-large"  # more pixels than data.max_pixels, judged by the header
    TOO_SMALL = "too-small"  # the shorter side is below data.min_side
    NO_LABEL = "no-label"
    UNKNOWN_LABEL = "unknown-label"  # none of data.classes, or no name that a class can have


class UnusableError(Exception):
    """This image can't be an example."""

    def __init__(self, reason: Reason, detail: str):
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail
