"""The slices of the test images: those that the gate judges, and those that the search found."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from config import image_facts
from config.stages import EVALUATOR
from pipeline import slice_summary

if TYPE_CHECKING:
    from components.evaluator.figures import SliceFigures
    from pipeline.report.run import ReportedRun

MOST_OF_FEATURE = 20  # rows


@dataclass(frozen=True)
class Row:
    """One slice.

    Attributes:
      feature: as a person calls it; empty for all images.
      value: of the feature; empty for none.
      figures: as TFMA measured them.
    """

    feature: str
    value: str
    figures: SliceFigures


@dataclass(frozen=True)
class Table:
    """The rows, and how many slices of each feature are left out, since those in the table have lower accuracies."""

    rows: Sequence[Row]
    left_out: dict[str, int]


def table(slices: Iterable[SliceFigures]) -> Table:
    """All images first, then each feature: its bands in their order, or the values by name.

    Args:
      slices: in the order of their names, those of a feature together.
    """
    rows: list[Row] = []
    left_out: dict[str, int] = {}
    for feature, group in itertools.groupby(slices, lambda one: one.name.partition("=")[0]):
        found = list(group)
        if feature in image_facts.BANDS:
            order = image_facts.BANDS[feature]
            found.sort(key=lambda one: order.index(_value(one)) if _value(one) in order else len(order))
        shown = found
        words = slice_summary.words_of(feature)
        if len(found) > MOST_OF_FEATURE:
            worst = sorted(found, key=_accuracy)[:MOST_OF_FEATURE]
            shown = [one for one in found if one in worst]
            left_out[words] = len(found) - len(shown)
        rows += [Row(words if "=" in one.name else "", _value(one), one) for one in shown]
    return Table(rows, left_out)


def _value(figures: SliceFigures) -> str:
    return figures.name.partition("=")[2]


def _accuracy(figures: SliceFigures) -> float:
    return 0.0 if figures.accuracy is None else figures.accuracy


def found(run: ReportedRun) -> list[str] | None:
    """A sentence for each slice that the search found; None if nothing was searched, or the file is gone."""
    from components.evaluator import slice_findings
    from pipeline import remains

    folder = run.uri(EVALUATOR, "blessing")
    search = remains.if_left(lambda: slice_findings.read(folder)) if folder is not None else None
    return None if search is None else [slice_summary.sentence(one) for one in search.slices]
