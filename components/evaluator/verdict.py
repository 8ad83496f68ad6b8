"""The verdict on a candidate, check by check, as it is kept beside the blessing in `verdict.json`.

thresholds.py makes the checks, TFMA decides in executor.py, and results.py reads the decision into a `Verdict`. Checks
of what TFMA does not measure are added to it (`Verdict.with_checks`), and blessing.py lets the blessing agree with it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from components.evaluator.metric_names import Metric
from components.evaluator.stress import figures as stress_figures
from components.evaluator.stress.figures import StressFigures
from config import image_facts
from config.gate import JudgedBy
from modules.files import atomic_write

FILE = "verdict.json"
OVERALL = "overall"
AT_LEAST: Literal["at least"] = "at least"
AT_MOST: Literal["at most"] = "at most"
# Two trainings on one machine with the same data and seed give the same bits. Another processor, or another version of
# TensorFlow, may round an activation differently, which changes a probability by less than 0.01 %.
_ROUNDING = 1e-4
STRESS = "stress="  # begins the slice of a check under a corruption
_CLASS = f"{image_facts.LABEL}="


@dataclass(frozen=True)
class Check:
    """One threshold and the value that was compared with it.

    Attributes:
      metric: the metric that is judged; a name that ends with `_change` is the candidate's minus the baseline's.
      slice: which test images, as `feature=value`; `overall` for all.
      judged: `value`, or `lower` or `upper` if that confidence bound of the metric is judged.
      value: the value that was judged; None if the slice has no images.
      wanted: `at least` or `at most`.
      bound: the last value that passes.
      passed: TFMA's verdict, or that of `of`.
      reason: why nothing was measured, where that is known; else empty.
    """

    metric: Metric
    slice: str
    judged: JudgedBy
    value: float | None
    wanted: Literal["at least", "at most"]
    bound: float
    passed: bool
    reason: str = ""

    @classmethod
    def of(
        cls,
        metric: Metric,
        value: float | None,
        wanted: Literal["at least", "at most"],
        bound: float,
        slice_: str = OVERALL,
        judged: JudgedBy = "value",
    ) -> Check:
        """A check that TFMA does not make, because its metric is not computed from the answers to the test images.

        Args:
          metric: which number is judged.
          value: what was measured; None, with which the check fails, if nothing was.
          wanted: `at least` or `at most`.
          bound: the last value that passes.
          slice_: which images, as `feature=value`; all by default.
          judged: `lower` or `upper` if `value` is that confidence bound of the metric.
        """
        # A number that is not one is on no side of the bound.
        passed = value is not None and (value >= bound if wanted == AT_LEAST else value <= bound)
        return cls(metric, slice_, judged, value, wanted, bound, passed)

    @property
    def name(self) -> str:
        """The metric in words. The accuracy on the images of one class is the recall of the class."""
        name = self.metric.replace("_", " ")
        return name.replace("accuracy", "recall") if self.slice.startswith(_CLASS) else name

    @property
    def title(self) -> str:
        """The metric in words, and its slice."""
        if self.slice.startswith(STRESS):
            return f"{self.name}, {self.slice.removeprefix(STRESS).replace('_', ' ')}"
        return self.name if self.slice == OVERALL else f"{self.name} of {self.slice.removeprefix(_CLASS)}"

    @property
    def margin(self) -> float | None:
        """The distance of the value from the bound; below 0 if the check failed; None without a value."""
        if self.value is None:
            return None
        return self.value - self.bound if self.wanted == AT_LEAST else self.bound - self.value


@dataclass(frozen=True)
class ClassFigures:
    """The results of one class on the test split. No recall without test images, no precision without predictions."""

    recall: float | None
    precision: float | None
    examples: int


@dataclass(frozen=True)
class Change:
    """The candidate's accuracy minus the baseline's, on the same images.

    Attributes:
      value: difference of the accuracies.
      lower, upper: confidence bounds of the difference.
      probability: McNemar's two-sided p-value; the null hypothesis is that both models are equally good.
      disagreement: share of the images that exactly one of both classifies correctly.
    """

    value: float
    lower: float
    upper: float
    probability: float
    disagreement: float


@dataclass(frozen=True)
class ProbeFigures:
    """A linear probe on the same test images: logistic regression on the backbone's pooled features.

    Attributes:
      accuracy: of the probe.
      train_images: how many it was fitted on.
      features: how many it has.
      penalty: its L2 penalty, see modules/training/logistic.py.
      chosen_by: what chose the penalty: `eval` or `cross_validation`.
      difference: the candidate's accuracy minus the probe's.
    """

    accuracy: float
    train_images: int
    features: int
    penalty: float
    chosen_by: str
    difference: Change

    @property
    def is_better(self) -> bool:
        """Whether the probe recognises more images than the candidate, beyond chance."""
        return self.difference.upper < 0

    @property
    def warning(self) -> str:
        """The sentence about a probe that is better."""
        return (
            f"a linear probe recognises more of the test images than the model, beyond chance: {self.accuracy:.2%}, "
            f"which is {-self.difference.value:.2%} more; look at the training, or set quality: fast, which trains a "
            "logistic head"
        )


@dataclass(frozen=True)
class Verdict:
    """The results of a candidate on the test split.

    Attributes:
      blessed: whether every check passed: TFMA's verdict, and the checks that TFMA does not make.
      examples: number of test images.
      accuracy: of the candidate; None without test images.
      accuracy_bounds: lower and upper confidence bound of the accuracy.
      change: against the baseline; None without one.
      confidence: of the bounds.
      checks: the overall ones first.
      per_class: class name to figures; a class without test images that was never predicted is left out.
      baseline: the version that is the baseline; None without one.
      largest_difference: of the logarithm of a probability between the candidate and the baseline, over all test images
        and classes; None without a baseline, or if it has other classes, another novelty, or answers
        without a probability.
      stress: what the stress test measured; None without one.
      probe: a linear probe on the same images; None without LabelCheck.
      false_rejects: share of the test images that the candidate calls unlike its training images; None if it does not
        answer that.
    """

    blessed: bool
    examples: int
    accuracy: float | None
    accuracy_bounds: tuple[float, float]
    change: Change | None
    confidence: float
    checks: list[Check]
    per_class: dict[str, ClassFigures]
    baseline: int | None = None
    largest_difference: float | None = None
    stress: StressFigures | None = None
    probe: ProbeFigures | None = None
    false_rejects: float | None = None

    def with_checks(self, checks: Iterable[Check]) -> Verdict:
        """The verdict with further checks; it is blessed if they passed, too."""
        further = list(checks)
        blessed = self.blessed and all(check.passed for check in further)
        return dataclasses.replace(self, blessed=blessed, checks=[*self.checks, *further])

    @property
    def same_answers_as(self) -> int | None:
        """The version that is the baseline, if the candidate gives the same answers as it; None otherwise."""
        if self.largest_difference is None or self.largest_difference > _ROUNDING:
            return None
        return self.baseline


def as_json(verdict: Verdict) -> dict[str, Any]:
    """The content of `verdict.json`."""
    return dataclasses.asdict(verdict)


def write(verdict: Verdict, folder: str | Path) -> None:
    """Writes `verdict.json`; readers see the whole file or none."""
    atomic_write(Path(folder, FILE), json.dumps(as_json(verdict), indent=2) + "\n")


def load(folder: str | Path) -> Verdict:
    """Reads `verdict.json`.

    Raises:
      FileNotFoundError: if the folder has no such file.
    """
    content = json.loads(Path(folder, FILE).read_text(encoding="utf-8"))
    return Verdict(
        **{
            **content,
            "accuracy_bounds": tuple(content["accuracy_bounds"]),
            "change": Change(**content["change"]) if content["change"] else None,
            "checks": [Check(**{**check, "metric": Metric(check["metric"])}) for check in content["checks"]],
            "per_class": {name: ClassFigures(**figures) for name, figures in content["per_class"].items()},
            "stress": stress_figures.parse(content.get("stress")),
            "probe": _probe(content.get("probe")),
        }
    )


def _probe(content: dict[str, Any] | None) -> ProbeFigures | None:
    """None if there are no such figures, as in verdicts of older releases."""
    return ProbeFigures(**{**content, "difference": Change(**content["difference"])}) if content else None
