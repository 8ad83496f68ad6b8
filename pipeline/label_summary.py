"""What LabelCheck found: for the terminal, beside the verdict, and for summary.json."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from components.label_check import results
from components.label_check.results import Kind, Suspect, Totals
from config.data import TEST
from config.errors import listed
from config.stages import LABEL_CHECK
from pipeline.run_metadata import StageRecord
from pipeline.workspace import display_path

_NAMED = 3  # images in a warning


@dataclass(frozen=True)
class LabelSummary:
    """Labels that may be wrong.

    Attributes:
      totals: numbers of images.
      in_test: test images whose label is likely wrong, or which look like images with another label.
      file: `suspects.csv`.
    """

    totals: Totals
    in_test: list[Suspect]
    file: str


def collect(records: Mapping[str, StageRecord]) -> LabelSummary | None:
    """Reads what the stage wrote; None if the run has no such stage."""
    if LABEL_CHECK not in records:
        return None
    uri = records[LABEL_CHECK].outputs["label_check"].uri
    found = [one for one in results.read_suspects(uri) if one.split == TEST and one.kind in results.DOUBTFUL]
    return LabelSummary(results.read_totals(uri), found, os.path.join(uri, results.SUSPECTS))


def as_json(summary: LabelSummary | None) -> dict[str, Any] | None:
    """The section `label_check` of summary.json."""
    if summary is None:
        return None
    totals = summary.totals
    return {
        "suspects": {kind: dict(totals.suspects[kind]) for kind in Kind},
        "noise": totals.noise,
        "not_judged": totals.not_judged,
        "in_test": [
            {
                "file": _shown(one.path),
                "key": one.key,
                "label": one.label,
                "likely_label": one.likely_label,
                "kind": one.kind,
            }
            for one in summary.in_test
        ],
        "file": display_path(summary.file),
    }


def lines(summary: LabelSummary | None) -> Iterator[str]:
    """Sentences for a person: how many labels are suspect, and a warning about those in test."""
    if summary is None:
        return
    totals = summary.totals
    numbers = [f"{sum(totals.suspects[kind].values())} {kind}" for kind in Kind if totals.suspects[kind]]
    if numbers:
        yield f"suspect images: {', '.join(numbers)}; {display_path(summary.file)} lists them"
    if totals.not_judged:
        yield f"labels of {listed(totals.not_judged)} were not judged: too few images"
    for warning in warnings(summary):
        yield f"warning: {warning}"


def warnings(summary: LabelSummary | None) -> Iterator[str]:
    """What a reader of the accuracy ought to know about the labels of test."""
    if summary is None:
        return
    totals = summary.totals
    count, images = totals.in_test, totals.images.get(TEST, 0)
    if count and images:
        subject = "1 test image has" if count == 1 else f"{count} test images have"
        named = [_shown(f"{one.path} ({one.label}, likely {one.likely_label})") for one in summary.in_test]
        shown = named[:_NAMED]
        more = f", and {count - len(shown)} more" if count > len(shown) else ""
        yield (
            f"{subject} a label that may be wrong, so the accuracy on test may be off by up to "
            f"{count / images:.1%}: {', '.join(shown)}{more}; look at them, and correct the labels (regraft relabel)"
        )


def _shown(text: str) -> str:
    """Text that any terminal and any file in UTF-8 can hold; other characters are escaped as in Python."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
