"""The artifact `label_check`: which labels may be wrong, and which training images are nearest to each test image.

`suspects.csv`
    one row per image that is worth a look, the most suspect of each kind first: `file` (path below the data folder),
    `label`, `likely_label`, `score`, `kind`, `split`, `key` (SHA-256), `decision` (empty; see docs/data.md). UTF-8;
    bytes of a path that are not UTF-8 stay as they are.
`nearest.parquet`
    `key` of each test image, and its three nearest training images: `rank` (from 1), `neighbour` (key), `path` (bytes),
    `label`, `distance`.
`summary.json`
    see `Totals`.
"""

from __future__ import annotations

import csv
import dataclasses
import enum
import io
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from config.data import TEST
from modules.files import atomic_write

SUSPECTS = "suspects.csv"
_NEAREST, _SUMMARY = "nearest.parquet", "summary.json"
DECISION = "decision"
COLUMNS = ("file", "label", "likely_label", "score", "kind", "split", "key", DECISION)


class Kind(enum.StrEnum):
    """Why an image is listed; the most serious reason first. An image is listed once."""

    WRONG = "likely wrong"
    NEAR_DUPLICATE = "near-duplicate"
    CHECK = "check"
    OUTLIER = "outlier"


DOUBTFUL = (Kind.WRONG, Kind.NEAR_DUPLICATE)  # kinds whose label may be wrong; the others are worth a look


@dataclass(frozen=True)
class Suspect:
    """One image that is worth a look.

    Attributes:
      path: below the data folder; bytes that are not UTF-8 are surrogate escapes.
      key: SHA-256 of the file.
      split: its name.
      label: the class that it has.
      likely_label: the class that it may be: the classifier's answer, or that of images which look the same.
      score: the larger, the more suspect. `likely wrong` and `check`: 1 minus the label's probability by a classifier
        that did not see the image; `near-duplicate`: share of the images which look the same that have other labels;
        `outlier`: mean cosine distance to its ten nearest images, 0 to 2.
      kind: why it is listed.
    """

    path: str
    key: str
    split: str
    label: str
    likely_label: str
    score: float
    kind: str


@dataclass(frozen=True)
class Neighbour:
    """A training image that is near a test image.

    Attributes:
      key: SHA-256 of its file.
      path: as in Suspect.
      label: its class.
      distance: cosine distance, 0 to 2.
    """

    key: str
    path: str
    label: str
    distance: float


@dataclass(frozen=True)
class Totals:
    """How many images there are of each kind.

    Attributes:
      images: split to number of images.
      suspects: kind to split to number of suspects, also those that are not listed.
      noise: estimated share of wrong labels in all splits, 0 to 1; None if no label could be judged.
      not_judged: classes with too few images to judge their labels.
    """

    images: Mapping[str, int]
    suspects: Mapping[str, Mapping[str, int]]
    noise: float | None = None
    not_judged: list[str] = field(default_factory=list)

    @property
    def in_test(self) -> int:
        """Test images whose label is likely wrong, or which look like images with another label."""
        return sum(self.suspects[kind].get(TEST, 0) for kind in DOUBTFUL)


@dataclass(frozen=True)
class LabelFindings:
    """What LabelCheck found.

    Attributes:
      suspects: the most serious kind first, in each kind the highest score.
      nearest: key of each test image to its nearest training images, the nearest first; at most three.
      totals: numbers of images.
    """

    suspects: list[Suspect]
    nearest: Mapping[str, list[Neighbour]]
    totals: Totals


def write(uri: str, findings: LabelFindings) -> None:
    """Writes the files of the artifact."""
    text = io.StringIO()
    writer = csv.writer(text)  # ends lines as RFC 4180 has it, and so quotes both of their characters
    writer.writerow(COLUMNS)
    for one in findings.suspects:
        row = (one.path, one.label, one.likely_label, f"{one.score:.6f}", one.kind, one.split, one.key, "")
        writer.writerow(row)
    atomic_write(Path(uri, SUSPECTS), text.getvalue().encode("utf-8", "surrogateescape"))
    rows = [
        (key, rank, one.key, os.fsencode(one.path), one.label, one.distance)
        for key, several in findings.nearest.items()
        for rank, one in enumerate(several, start=1)
    ]
    kinds = (pa.string(), pa.int32(), pa.string(), pa.binary(), pa.string(), pa.float32())
    names = ("key", "rank", "neighbour", "path", "label", "distance")
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
    pq.write_table(pa.table(arrays, names=list(names)), Path(uri, _NEAREST))
    atomic_write(Path(uri, _SUMMARY), json.dumps(dataclasses.asdict(findings.totals), indent=2) + "\n")


def read(uri: str) -> LabelFindings:
    """Reads the artifact.

    Raises:
      FileNotFoundError: if the folder is no such artifact.
    """
    nearest: dict[str, list[Neighbour]] = {}
    for row in pq.read_table(Path(uri, _NEAREST)).to_pylist():
        one = Neighbour(row["neighbour"], os.fsdecode(row["path"]), row["label"], row["distance"])
        nearest.setdefault(row["key"], []).append(one)
    return LabelFindings(read_suspects(uri), nearest, read_totals(uri))


def read_totals(uri: str) -> Totals:
    """Reads only the numbers."""
    return Totals(**json.loads(Path(uri, _SUMMARY).read_text(encoding="utf-8")))


def read_suspects(uri: str) -> list[Suspect]:
    """Reads only the suspects."""
    text = Path(uri, SUSPECTS).read_bytes().decode("utf-8", "surrogateescape")
    rows = csv.DictReader(io.StringIO(text, newline=""))
    return [
        Suspect(
            row["file"], row["key"], row["split"], row["label"], row["likely_label"], float(row["score"]), row["kind"]
        )
        for row in rows
    ]


def in_order(suspects: Iterable[Suspect]) -> list[Suspect]:
    """The most serious kind first, in each kind the highest score."""
    ranks = {kind: rank for rank, kind in enumerate(Kind)}
    return sorted(suspects, key=lambda one: (ranks[Kind(one.kind)], -one.score, one.key))
