"""Images that cannot become examples, and the reasons."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from components.image_example_gen.byte_location import ByteLocation
from config.errors import BadInputError

_KINDS, _PATHS = 5, 3  # how many a message shows
_VARIABLE = re.compile(r"'[^']*'|\"[^\"]*\"|\d+")  # what differs between two details of one kind


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


class BadImagesError(BadInputError):
    """Images of which a message can show only some.

    Attributes:
      rows: one per image, all of them, as JSON can hold them; without thumbnails, which a failed stage loses.
    """

    def __init__(self, message: str, rows: Sequence[Mapping[str, Any]] = ()):
        super().__init__(message)
        self.rows = [{name: value for name, value in row.items() if name != "thumbnail"} for row in rows]


def describe(rows: Iterable[Mapping[str, Any]]) -> str:
    """Which images cannot be used, and why, as one sentence: each kind of reason with its number and examples.

    Args:
      rows: with `path`, `reason` and `detail`, as in `quarantine.jsonl`.
    """
    kinds: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        kinds.setdefault((row["reason"], _VARIABLE.sub("", row["detail"])), []).append(row)
    most = sorted(kinds.items(), key=lambda kind: -len(kind[1]))
    shown = [
        f"{len(same)} {reason}, such as {', '.join(row['path'] for row in same[:_PATHS])}: {same[0]['detail']}"
        for (reason, _), same in most[:_KINDS]
    ]
    if others := sum(len(same) for _, same in most[_KINDS:]):
        shown.append(f"{others} others")
    return "; ".join(shown)


def because(rejected: Sequence[Mapping[str, Any]]) -> str:
    """How many images cannot be used, and why; empty if all can."""
    return f"{len(rejected)} images can't be used: {describe(rejected)}" if rejected else ""


def check_rejected(rejected: Sequence[Mapping[str, Any]], found: int, max_bad_fraction: float) -> None:
    """Raises BadImagesError if all images are rejected, or more than are allowed.

    Args:
      rejected: rows with `path`, `reason` and `detail`.
      found: number of all images.
      max_bad_fraction: of them, 0 to 1; see `data.max_bad_fraction`.
    """
    everything = 0 < len(rejected) == found
    if everything or len(rejected) > max_bad_fraction * found:
        limit = "" if everything else f", more than data.max_bad_fraction {max_bad_fraction:g} allows"
        remedy = "" if everything else ", or raise data.max_bad_fraction"
        raise BadImagesError(
            f"data.path: {len(rejected)} of {found} files can't be used{limit}; repair or remove them{remedy}: "
            f"{describe(rejected)}",
            rejected,
        )
