"""The section about suspect labels, and the training images that are nearest to a test image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from config.data import TEST

if TYPE_CHECKING:
    from components.label_check.results import Neighbour, Suspect
    from pipeline.report.run import ReportedRun

MOST_OF_KIND = 24  # suspects with a picture
_STAGE, _OUTPUT = "LabelCheck", "label_check"


@dataclass(frozen=True)
class Kind:
    """Suspects of one kind.

    Attributes:
      name: as the label check has it.
      suspects: those that are shown, the most suspect first.
      total: how many there are.
    """

    name: str
    suspects: Sequence[Suspect]
    total: int


@dataclass(frozen=True)
class Labels:
    """What the label check found.

    Attributes:
      kinds: in the order of their names on the page.
      in_test: number of suspects in the test split, by kind.
      doubtful_in_test: how many of them have a label that may be wrong.
      nearest: key of a test image to the training images that are nearest to it.
      kind_of: key of each suspect, shown or not, to the name of its kind.
    """

    kinds: Sequence[Kind]
    in_test: Mapping[str, int]
    doubtful_in_test: int
    nearest: Mapping[str, Sequence[Neighbour]] = field(default_factory=dict)
    kind_of: Mapping[str, str] = field(default_factory=dict)

    def keys(self, images: Iterable[str]) -> set[str]:
        """Keys of all pictures of the section, and of the training images nearest to these test images."""
        near = {one.key for image in images for one in self.nearest.get(image, ())}
        return near | {suspect.key for kind in self.kinds for suspect in kind.suspects}


def collect(run: ReportedRun) -> Labels | None:
    """Reads what the label check wrote; None if the run had no such stage, or its files are gone."""
    folder = run.uri(_STAGE, _OUTPUT)
    if folder is None:
        return None
    from components.label_check import results
    from pipeline import remains

    found = remains.if_left(lambda: results.read(folder))
    if found is None:
        return None
    kinds: dict[str, list[Suspect]] = {}
    for suspect in found.suspects:
        kinds.setdefault(str(suspect.kind), []).append(suspect)
    return Labels(
        [
            Kind(name, suspects[:MOST_OF_KIND], sum(found.totals.suspects[name].values()))
            for name, suspects in kinds.items()
        ],
        {name: images for name in kinds if (images := found.totals.suspects[name].get(TEST, 0))},
        found.totals.in_test,
        found.nearest,
        {suspect.key: str(suspect.kind) for suspect in found.suspects},
    )
