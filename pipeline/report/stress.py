"""The section about the stress test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from components.evaluator.stress import figures
from components.evaluator.stress.figures import StressFigures
from config.stages import EVALUATOR
from pipeline import stress_table
from pipeline.report import pictures

if TYPE_CHECKING:
    from pipeline.report.run import ReportedRun


@dataclass(frozen=True)
class Stress:
    """What the section shows.

    Attributes:
      figures: what was measured.
      warning: that there are too few images; empty if there are enough.
      pictures: one test image under each corruption, and `clean`, as `data:` addresses; those that are gone are left
        out.
    """

    figures: StressFigures
    warning: str
    pictures: Mapping[str, str]


def collect(run: ReportedRun) -> Stress | None:
    """Reads the stress test; None if there was none, or the verdict is gone."""
    verdict = run.summary.verdict
    if verdict is None or verdict.stress is None:
        return None
    folder = run.uri(EVALUATOR, "evaluation")
    kept = figures.pictures(folder, verdict.stress) if folder else {}
    return Stress(
        verdict.stress, stress_table.warning(verdict.stress) or "", pictures.of_all(kept.items(), pictures.large)
    )
