"""What ImageExampleGen is told beside the path: the section `data` of a configuration, but for what comes later."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

FOLDERS, MANIFEST, TFRECORDS, TFDS = SOURCES = ("folders", "manifest", "tfrecords", "tfds")
TRAIN, EVAL, TEST = SPLITS = ("train", "eval", "test")
IGNORE, REPORT, GROUP = NEAR_DUPLICATES = ("ignore", "report", "group")


@dataclass(frozen=True)
class Settings:
    """See pipeline/data_section.py, whose fields these are, for what they mean; `untested_classes` is the gate's.

    Attributes:
      splits: split name to share, positive integers; their order counts.
      untested_classes: whether a class may have no test image.
    """

    source: str = FOLDERS
    root: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    classes: Sequence[str] | None = None
    span: int | None = None
    splits: Mapping[str, int] = field(default_factory=lambda: {TRAIN: 8, EVAL: 1, TEST: 1})
    stratified: bool = False
    near_duplicates: str = REPORT
    near_duplicate_bits: int = 4
    max_pixels: int = 89_478_485
    min_side: int = 8
    outside_files: bool = False
    max_bad_fraction: float = 0.05
    untested_classes: bool = False

    @classmethod
    def parse(cls, text: str) -> Settings:
        """Of what `serialized` gave."""
        return cls(**json.loads(text))

    def serialized(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def of(cls, section: Mapping[str, Any], untested_classes: bool) -> Settings:
        """Of the section `data`, as a mapping; fields that are about something else are passed over."""
        names = {known.name for known in dataclasses.fields(cls)}
        given = {name: value for name, value in section.items() if name in names}
        return cls(**given, untested_classes=untested_classes)
