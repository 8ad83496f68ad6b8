"""A stress test and a linear probe for a person, on the terminal."""

from __future__ import annotations

import rich.box
import rich.table

from components.evaluator import confidence
from components.evaluator.stress.figures import CorruptionFigures, StressFigures
from components.evaluator.verdict import ProbeFigures


def probe_line(probe: ProbeFigures) -> str:
    """The probe's accuracy, and the candidate's difference to it."""
    difference = probe.difference
    return (
        f"linear probe: accuracy {probe.accuracy:.2%} (logistic regression on {probe.features} pooled features); the "
        f"candidate differs by {difference.value:+.2%} (bounds {difference.lower:+.1%} and {difference.upper:+.1%})"
    )


def table(stress: StressFigures, baseline: int | None) -> rich.table.Table:
    """One row per corruption, and one for their average.

    Args:
      stress: what was measured.
      baseline: the version that the candidate was compared with; None if there was none.
    """
    made = rich.table.Table(box=rich.box.SIMPLE_HEAD)
    compared = (f"version {baseline}", "change", "upper bound") if stress.baseline_accuracy is not None else ()
    made.add_column("corruption")
    for heading in ("accuracy", "fall", "lower bound", *compared):
        made.add_column(heading, justify="right")
    for row in stress.rows:
        made.add_row(*_row(row))
    return made


def introduction(stress: StressFigures) -> str:
    """What was tested, as a line above the table."""
    return (
        f"stress test: {stress.images} test images, severity {stress.severity}; accuracy {stress.accuracy:.1%} without "
        f"corruption, {stress.mean.accuracy:.1%} on average with it (one-sided {stress.confidence:.1%} bounds)"
    )


def warning(stress: StressFigures) -> str | None:
    """That there are too few images for the bound on regressions; None if there are enough, or there is none."""
    if stress.images_needed is None or stress.smallest_change is None or stress.images_needed <= stress.images:
        return None
    return (
        f"{stress.images} images detect a regression under one corruption in {confidence.POWER:.0%} of cases only if "
        f"it exceeds gate.stress.max_regression by {stress.smallest_change:.1%} or more; gate.stress.images: "
        f"{stress.images_needed} would detect one that exceeds it by {stress.worth_detecting:.1%}"
    )


def _row(row: CorruptionFigures) -> tuple[str, ...]:
    name = row.corruption.replace("_", " ")
    own = (name, f"{row.accuracy:.1%}", f"{row.fall.value:+.1%}", f"{row.fall.lower:+.1%}")
    if row.change is None or row.baseline_accuracy is None:
        return own
    return (*own, f"{row.baseline_accuracy:.1%}", f"{row.change.value:+.1%}", f"{row.change.upper:+.1%}")
