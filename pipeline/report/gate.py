"""The section about the verdict: what became of the candidate, and which images each check is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from components.evaluator.metric_names import Metric
from config import image_facts
from config.errors import listed
from config.stages import EVALUATOR
from pipeline import verdict_table
from pipeline.report import templating

if TYPE_CHECKING:
    from components.evaluator.verdict import Check
    from pipeline.report.run import ReportedRun

_CLASS = f"{image_facts.LABEL}="
_PLACES = {  # of a metric's explanation on the page; metric_names.Metric has the names
    "example_count": ("data", "how many images there are"),
    "rarest_class_examples": ("data", "how many images each class has"),
    "accuracy": ("mistakes", "the mistakes"),
    "accuracy_change": ("lost", "the images that were lost"),
    "calibration_error": ("scores", "how far scores can be trusted"),
    "valid": ("scores", "the scores"),
    "spread": ("scores", "the scores"),
    "false_rejects": ("scores", "the scores"),
    "stress_fall": ("stress", "the stress test"),
    "stress_change": ("stress", "the stress test"),
    "probe_difference": ("probe", "the linear probe"),
}


_DIFFERENCES = (
    Metric.ACCURACY_CHANGE,
    Metric.STRESS_FALL,
    Metric.STRESS_CHANGE,
    Metric.PROBE_DIFFERENCE,
    Metric.EXPORT_ACCURACY_CHANGE,
)
_SHARES = (Metric.ACCURACY, Metric.VALID, Metric.FALSE_REJECTS, Metric.AGREEMENT, *_DIFFERENCES)
_MEANINGS = {
    Metric.AGREEMENT: "images to which the export and the SavedModel answer the same class",
    Metric.EXPORT_ACCURACY_CHANGE: "accuracy of the export minus that of the SavedModel, on the same images",
    Metric.PROBABILITY_DIFFERENCE: "largest difference of a probability from the SavedModel's",
    Metric.P50_MS: "median time of one image, already resized, in one thread",
    Metric.VALID: "images whose probabilities are all numbers from 0 to 1",
    Metric.SPREAD: "largest difference of a class's probability between two images; 0 is an answer that never changes",
    Metric.FALSE_REJECTS: "images that the model calls unlike those that it was trained on",
    Metric.STRESS_FALL: "accuracy on the same images without the corruption, minus the accuracy with it",
    Metric.STRESS_CHANGE: "accuracy under the corruption, minus that of the version in production",
    Metric.PROBE_DIFFERENCE: "accuracy minus that of logistic regression on the backbone's pooled features",
    Metric.RAREST_CLASS_EXAMPLES: "test images of the class that has the fewest",
}


@dataclass(frozen=True)
class Outcome:
    """What became of the candidate.

    Attributes:
      look: how the banner looks.
      word: the answer in one or two words.
      sentence: the answer, as the terminal has it.
    """

    look: Literal["good", "bad", "warn"]
    word: str
    sentence: str


@dataclass(frozen=True)
class ShownCheck:
    """One check of the gate, and where the page shows what it is about.

    Attributes:
      check: as the verdict has it.
      value: what was measured, with its unit; shares are percentages, differences of shares are points.
      bound: the last value that passes, the same way.
      margin: distance to the bound, the same way.
      meaning: what the metric is, where its name does not say it; else empty.
      anchor: id of the place on the page.
      link: the text of the link to it.
    """

    check: Check
    value: str
    bound: str
    margin: str
    meaning: str
    anchor: str
    link: str


def outcome(run: ReportedRun) -> Outcome:
    """The outcome of a run."""
    from pipeline import summary as summaries

    summary = run.summary
    if run.ended is not None:
        return _of_unpushed(run, run.ended)
    sentence = summaries.outcome(summary)
    if summary.rolled_back or summary.pushed is None:
        return Outcome("bad", "Refused", sentence)
    if summary.blessed_anyway:
        return Outcome("warn", "Pushed although it was refused", sentence)
    if summary.same_answers or summary.current:
        return Outcome("good", "Nothing new to push", sentence)
    return Outcome("good", "Pushed", sentence)


def _of_unpushed(run: ReportedRun, ended: str) -> Outcome:
    """Of a run without a push: `regraft run --gate-only`, or one that stopped after the verdict."""
    if not run.is_only_judged:
        return Outcome("warn", "Judged, but not finished", f"nothing was pushed: {ended}")
    if run.records[EVALUATOR].outputs["blessing"].custom_properties["blessed"].int_value:
        return Outcome("good", "Would be blessed", "the gate only judged this model (--gate-only); nothing was pushed")
    reasons = verdict_table.refusals(run.summary.verdict) if run.summary.verdict else []
    detail = f": {listed(reasons, 3)}" if reasons else ""
    return Outcome("bad", "Would be refused", f"the gate only judged this model (--gate-only){detail}")


def checks(run: ReportedRun) -> list[ShownCheck]:
    """All checks, those that failed first; none if the verdict is gone."""
    found = run.summary.verdict.checks if run.summary.verdict else []
    shown = [
        ShownCheck(
            check,
            _quantity(check, check.value),
            _quantity(check, check.bound),
            _quantity(check, check.margin, is_margin=True),
            _MEANINGS.get(check.metric, ""),
            *_place(check, run.classes),
        )
        for check in found
    ]
    return sorted(shown, key=lambda one: one.check.passed)


def _quantity(check: Check, value: float | None, is_margin: bool = False) -> str:
    if value is None or check.metric not in _SHARES:
        return templating.figure(value)
    is_difference = is_margin or check.metric in _DIFFERENCES
    return f"{templating.figure(100 * value)}\u202f{'points' if is_difference else '%'}"


def _place(check: Check, classes: Sequence[str]) -> tuple[str, str]:
    name = check.slice.removeprefix(_CLASS)
    if check.slice.startswith(_CLASS) and name in classes:
        return f"of-class-{classes.index(name)}", f"the images of {name}"
    return _PLACES.get(check.metric, ("slices", "the slices"))
