"""The ingest report: what became of every image.

`counts.json`
    See `Counts`.
`quarantine.jsonl`
    one object a line: `path`, `reason` (reasons.Reason), `detail`, `thumbnail`: the file's name, or null.
`thumbnails/`
    PNGs of up to 100 quarantined files, where there is something to see.
`duplicates.jsonl`
    one object a line: `path`, `same_as`: the path of the file with the same bytes that became the example.
`near_duplicates.jsonl`
    one object a line, a cluster of images that resemble each other and stand in several splits: `path` of the first,
    `images`: how many by split, `labels`, `paths`: by split, at most 20 each.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

COUNTS = "counts.json"
QUARANTINE = "quarantine.jsonl"
THUMBNAILS = "thumbnails"
DUPLICATES = "duplicates.jsonl"
NEAR_DUPLICATES = "near_duplicates.jsonl"


@dataclass(frozen=True)
class Counts:
    """Numbers of images.

    Attributes:
      found: files, rows of a manifest, or records; quarantined + duplicates + all examples.
      quarantined, duplicates: of them.
      splits: split name to class name to examples.
      fingerprint: of all examples, see `fingerprint`.
      transcoded: examples that hold other bytes than were found.
      reasons: quarantined images by reason.
      near_duplicates: split name to examples in clusters that stand in several splits.
    """

    found: int
    quarantined: int
    duplicates: int
    splits: Mapping[str, Mapping[str, int]]
    fingerprint: str
    transcoded: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    near_duplicates: Mapping[str, int] = field(default_factory=dict)

    def examples(self, split: str) -> int:
        return sum(self.splits[split].values())

    @property
    def classes(self) -> list[str]:
        return sorted({name for split in self.splits.values() for name in split})


def fingerprint(examples: Iterable[tuple[str, str, str]]) -> str:
    """What examples these are, 64 hexadecimal digits: made of each one's split, label and key, in whatever order."""
    hashes = (hashlib.sha256("\0".join(example).encode()).hexdigest() for example in examples)
    return combined(hashes)


def combined(fingerprints: Iterable[str]) -> str:
    """The fingerprint of several lots of examples together."""
    return f"{sum(int(found, 16) for found in fingerprints) % 2**256:064x}"


def read_counts(directory: str) -> Counts:
    with tf.io.gfile.GFile(os.path.join(directory, COUNTS)) as file:
        return Counts(**json.loads(file.read()))


def write_counts(directory: str, counts: Counts) -> None:
    with tf.io.gfile.GFile(os.path.join(directory, COUNTS), "w") as file:
        file.write(json.dumps(vars(counts), indent=2, ensure_ascii=False) + "\n")


def read_rows(path: str) -> list[dict[str, Any]]:
    with tf.io.gfile.GFile(path) as file:
        return [json.loads(line) for line in file.read().splitlines()]


def write_rows(path: str, rows: Iterable[dict[str, Any]]) -> None:
    """Writes one JSON object a line, sorted by path; a path that is not UTF-8 keeps its bytes as surrogate escapes."""
    temporary = f"{path}.tmp"
    with tf.io.gfile.GFile(temporary, "w") as file:
        file.write("")  # makes the file, even if there is nothing to write
        for row in sorted(rows, key=lambda row: str(row["path"])):
            file.write(json.dumps(row) + "\n")
    tf.io.gfile.rename(temporary, path, overwrite=True)
