"""The ingest report: what became of every file.

`counts.json`
    `found`, `quarantined`, `duplicates`: files; `splits`: split to class to number of examples.
    found = quarantined + duplicates + all examples. `fingerprint`: of all examples, see `fingerprint`.
`quarantine.jsonl`
    one object a line: `path`, `reason` (inspection.Reason), `detail`.
`duplicates.jsonl`
    one object a line: `path`, `same_as`: the path of the file with the same bytes that became the example.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COUNTS = "counts.json"
QUARANTINE = "quarantine.jsonl"
DUPLICATES = "duplicates.jsonl"


@dataclass(frozen=True)
class Counts:
    """Numbers of files and examples; `splits` maps split name to class name to examples."""

    found: int
    quarantined: int
    duplicates: int
    splits: Mapping[str, Mapping[str, int]]
    fingerprint: str

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
    return Counts(**json.loads(Path(directory, COUNTS).read_text(encoding="utf-8")))


def write_counts(directory: str, counts: Counts) -> None:
    Path(directory, COUNTS).write_text(json.dumps(vars(counts), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_rows(path: str) -> list[dict[str, Any]]:
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def write_rows(path: str, rows: Iterable[dict[str, Any]]) -> None:
    """Writes one JSON object a line, sorted by path; a path that is not UTF-8 keeps its bytes as surrogate escapes."""
    temporary = f"{path}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in sorted(rows, key=lambda row: row["path"]))
    os.replace(temporary, path)
