"""What became of a candidate, check by check, as it is kept beside its blessing in `verdict.json`."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules import features

FILE = "verdict.json"
OVERALL = "overall"
_CLASS = f"{features.LABEL}="


@dataclass(frozen=True)
class Check:
    """One threshold and what was measured.

    Attributes:
      metric: what is judged, such as `accuracy`; a name that ends with `_change` is candidate less baseline.
      slice: which test images, as `feature=value`; `overall` for all.
      judged: `value`, or `lower` or `upper` if it is that confidence bound of the metric.
      value: what was judged; None if there was nothing to judge.
      wanted: `at least` or `at most`.
      bound: the last value that passes.
      passed: TFMA's verdict.
    """

    metric: str
    slice: str
    judged: str
    value: float | None
    wanted: str
    bound: float
    passed: bool

    @property
    def name(self) -> str:
        """What is judged, in words: the accuracy of a class is its recall."""
        name = self.metric.replace("_", " ")
        return name.replace("accuracy", "recall") if self.slice.startswith(_CLASS) else name

    @property
    def title(self) -> str:
        """What is judged, and of which slice."""
        return self.name if self.slice == OVERALL else f"{self.name} of {self.slice.removeprefix(_CLASS)}"

    @property
    def margin(self) -> float | None:
        """How far the value lies on the right side of the bound; below 0 on the wrong side; None without a value."""
        if self.value is None:
            return None
        return self.value - self.bound if self.wanted == "at least" else self.bound - self.value


@dataclass(frozen=True)
class ClassFigures:
    """How one class fared on the test split; no recall without examples, no precision without predictions."""

    recall: float | None
    precision: float | None
    examples: int


@dataclass(frozen=True)
class Change:
    """Candidate less baseline, on the same images.

    Attributes:
      value: difference of the accuracies.
      lower, upper: its confidence bounds.
      probability: McNemar's p-value that both are equally good.
      disagreement: share of the images on which only one of both is right.
    """

    value: float
    lower: float
    upper: float
    probability: float
    disagreement: float


@dataclass(frozen=True)
class Verdict:
    """What became of a candidate on the test split.

    Attributes:
      blessed: TFMA's verdict on all checks together.
      examples: test images.
      accuracy: of the candidate; None without images.
      accuracy_bounds: lower and upper confidence bound of it.
      change: against the baseline; None without one.
      confidence: of the bounds.
      checks: the overall ones first.
      per_class: class name to figures; a class without test images that was never predicted is left out.
    """

    blessed: bool
    examples: int
    accuracy: float | None
    accuracy_bounds: tuple[float, float]
    change: Change | None
    confidence: float
    checks: list[Check]
    per_class: dict[str, ClassFigures]


def as_json(verdict: Verdict) -> dict[str, Any]:
    """As `verdict.json` has it."""
    return dataclasses.asdict(verdict)


def write(verdict: Verdict, folder: str | Path) -> None:
    """Writes `verdict.json`, whole or not at all."""
    temporary = Path(folder, f"{FILE}.tmp")
    temporary.write_text(json.dumps(as_json(verdict), indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, Path(folder, FILE))


def load(folder: str | Path) -> Verdict:
    """Reads what `write` wrote.

    Raises:
      FileNotFoundError: if there is nothing.
    """
    content = json.loads(Path(folder, FILE).read_text(encoding="utf-8"))
    return Verdict(
        **{
            **content,
            "accuracy_bounds": tuple(content["accuracy_bounds"]),
            "change": Change(**content["change"]) if content["change"] else None,
            "checks": [Check(**check) for check in content["checks"]],
            "per_class": {name: ClassFigures(**figures) for name, figures in content["per_class"].items()},
        }
    )
