"""What the search for bad slices found, as it is kept beside the verdict in `bad_slices.json`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from modules.files import atomic_write

FILE = "bad_slices.json"
GROUP = "group="  # before the number of a group of images that look alike


@dataclass(frozen=True)
class BadSlice:
    """A part of the test images.

    Attributes:
      slice: `feature=value`, as `gate.slices` names it; `column/<name> from <number> to <number>`; or
        `group=<number>`, images that look alike.
      images: how many test images it has.
      accuracy: of the candidate on them, [0, 1].
      elsewhere: its accuracy on the other images, with each class weighted as in the slice, [0, 1].
      probability: p-value of the difference, adjusted for the number of slices, [0, 1].
      paths: of up to 5 images of the slice, first those with a wrong answer; as `os.fsdecode` makes them.
      also: other bad slices by facts that have more than half of their images in common with this one.
    """

    slice: str
    images: int
    accuracy: float
    elsewhere: float
    probability: float
    paths: Sequence[str]
    also: Sequence[str] = field(default_factory=list)


@dataclass(frozen=True)
class Search:
    """What the search found.

    Attributes:
      slices: the slices, the worst first.
      candidates: how many parts were tested.
      groups: how many of them are groups of images that look alike; 0 without image features.
    """

    slices: Sequence[BadSlice]
    candidates: int
    groups: int


def write(found: Search, folder: str | Path) -> None:
    """Writes `bad_slices.json`; readers see the whole file or none."""
    atomic_write(Path(folder, FILE), json.dumps(dataclasses.asdict(found), indent=2) + "\n")


def read(folder: str | Path) -> Search | None:
    """Reads `bad_slices.json`; None if there is none: nothing was searched, or the run is older."""
    path = Path(folder, FILE)
    if not path.exists():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    return Search(**{**content, "slices": [BadSlice(**one) for one in content["slices"]]})
