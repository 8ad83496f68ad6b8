"""The section about the verdict: what became of the candidate, and which images each check is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from config import image_facts

if TYPE_CHECKING:
    from components.evaluator.verdict import Check
    from pipeline.summary import Summary

_CLASS = f"{image_facts.LABEL}="
_PLACES = {  # of a metric's explanation on the page; metric_names.Metric has the names
    "example_count": ("data", "how many images there are"),
    "rarest_class_examples": ("data", "how many images each class has"),
    "accuracy": ("mistakes", "the mistakes"),
    "accuracy_change": ("lost", "the images that were lost"),
    "calibration_error": ("scores", "how far scores can be trusted"),
    "valid": ("scores", "the scores"),
    "spread": ("scores", "the scores"),
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
      anchor: id of the place on the page.
      link: the text of the link to it.
    """

    check: Check
    anchor: str
    link: str


def outcome(summary: Summary) -> Outcome:
    """The outcome of a run."""
    from pipeline import summary as summaries

    sentence = summaries.outcome(summary)
    if summary.rolled_back or summary.pushed is None:
        return Outcome("bad", "Refused", sentence)
    if summary.blessed_anyway:
        return Outcome("warn", "Pushed although it was refused", sentence)
    if summary.same_answers or summary.current:
        return Outcome("good", "Nothing new to push", sentence)
    return Outcome("good", "Pushed", sentence)


def checks(summary: Summary) -> list[ShownCheck]:
    """All checks, those that failed first."""
    shown = [ShownCheck(check, *_place(check, summary.data.classes)) for check in summary.verdict.checks]
    return sorted(shown, key=lambda one: one.check.passed)


def _place(check: Check, classes: Sequence[str]) -> tuple[str, str]:
    name = check.slice.removeprefix(_CLASS)
    if check.slice.startswith(_CLASS) and name in classes:
        return f"of-class-{classes.index(name)}", f"the images of {name}"
    return _PLACES.get(check.metric, ("slices", "the slices"))
