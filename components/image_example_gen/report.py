"""The ingest report: what happened to every image.

`counts.json`
    see `Counts`.
`quarantine.jsonl`
    one JSON object per line and quarantined image: `path`, `reason` (quarantine.Reason), `detail`, `thumbnail` (the
    file's name, or null).
`thumbnails/`
    PNGs of up to 100 quarantined images, those that can be shown.
`duplicates.jsonl`
    one JSON object per line and duplicate: `path`, `same_as` (path of the file with the same bytes that became the
    example); of a table, also `line` and `same_as_line`, the lines that name the two; if the source names several
    splits for these files, also `splits`, the one that is used first.
`little_content.jsonl`
    one JSON object per line and example with next to no content (`content.Content.is_little`): `path`, `label`,
    `split`.
`shortcuts.json`
    facts that tell the classes apart by themselves, see `shortcuts.Shortcut`.
`facts/`
    the facts about every example, see components/fact_table.py.
`near_duplicates.jsonl`
    one JSON object per line and cluster of similar images in several splits or with several labels: `path` of the
    first, `images` (how many per split), `labels`, `paths` (per split, at most 20 each), `images_of_labels` (how many
    per label), `examples` (one path per label).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from modules.files import atomic_write

COUNTS = "counts.json"
QUARANTINE = "quarantine.jsonl"
THUMBNAILS = "thumbnails"
DUPLICATES = "duplicates.jsonl"
LITTLE_CONTENT = "little_content.jsonl"
NEAR_DUPLICATES = "near_duplicates.jsonl"


@dataclass(frozen=True)
class Counts:
    """Numbers of images.

    Attributes:
      found: files, rows of a manifest, or records; equals quarantined + duplicates + examples of all splits.
      quarantined: images that cannot be used.
      duplicates: images whose bytes are those of another image.
      splits: split name to class name to number of examples.
      fingerprint: of all examples, see `fingerprint`.
      transcoded: examples that hold the image as PNG instead of the original bytes.
      reasons: reason to number of quarantined images.
      near_duplicates: split name to number of examples in clusters of similar images that are in several splits.
      look_alikes: examples in clusters of similar images that have several labels.
      pictures: class name to number of examples if similar images count as one; only of classes with similar images,
        and only if `data.near_duplicates` keeps them in one split.
      inner_folders: see `sources.item.Findings`.
      folders: class name to the names of its folders, where they are several.
      weights: split name to class name to the sum of its examples' weights.
      empty_fields: roles (split, group, weight) for which data.fields names a column or feature, and no example has a
        value; a weight of 1 is none.
      in_several_splits: examples whose bytes the source has in several splits.
      ignored: kind of clutter to number of files and folders, see `sources.item.Findings`; they are not in `found`.
      split_folders: see `sources.item.Findings`.
      little_content: examples with next to no content.
    """

    found: int
    quarantined: int
    duplicates: int
    splits: Mapping[str, Mapping[str, int]]
    fingerprint: str
    transcoded: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    near_duplicates: Mapping[str, int] = field(default_factory=dict)
    folders: Mapping[str, list[str]] = field(default_factory=dict)
    weights: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    empty_fields: Sequence[str] = ()
    in_several_splits: int = 0
    ignored: Mapping[str, int] = field(default_factory=dict)
    split_folders: Mapping[str, str] = field(default_factory=dict)
    little_content: int = 0
    look_alikes: int = 0
    pictures: Mapping[str, int] = field(default_factory=dict)
    inner_folders: Sequence[str] = ()

    def examples(self, split: str) -> int:
        return sum(self.splits[split].values())

    def examples_of(self, class_name: str) -> int:
        """Number of examples of a class in all splits."""
        return sum(split.get(class_name, 0) for split in self.splits.values())

    @property
    def used(self) -> int:
        """Number of examples of all classes in all splits."""
        return sum(map(self.examples, self.splits))

    @property
    def classes(self) -> list[str]:
        return sorted({name for split in self.splits.values() for name in split})


def fingerprint(examples: Iterable[tuple[str, str, str]]) -> str:
    """Identifies a set of examples; their order does not matter.

    Args:
      examples: each one's split, label and key.

    Returns:
      64 hexadecimal digits.
    """
    return combine_fingerprints(hashlib.sha256("\0".join(example).encode()).hexdigest() for example in examples)


def combine_fingerprints(fingerprints: Iterable[str]) -> str:
    """The fingerprint of the union of several sets of examples."""
    return f"{sum(int(digits, 16) for digits in fingerprints) % 2**256:064x}"


def read_counts(directory: str) -> Counts:
    with tf.io.gfile.GFile(os.path.join(directory, COUNTS)) as file:
        return Counts(**json.loads(file.read()))


def write_counts(directory: str, counts: Counts) -> None:
    atomic_write(os.path.join(directory, COUNTS), json.dumps(vars(counts), indent=2, ensure_ascii=False) + "\n")


def read_rows(path: str) -> list[dict[str, Any]]:
    with tf.io.gfile.GFile(path) as file:
        return [json.loads(line) for line in file.read().splitlines()]


def write_rows(path: str, rows: Iterable[dict[str, Any]]) -> None:
    """Writes one JSON object per line, sorted by path. Bytes of a path that are not UTF-8 become surrogate escapes."""
    in_order = sorted(rows, key=lambda row: str(row["path"]))
    atomic_write(path, "".join(json.dumps(row) + "\n" for row in in_order))
