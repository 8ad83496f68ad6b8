"""What a stress test measured, as it is kept in `verdict.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.evaluator.estimates import Estimate

MEAN = "mean"  # in place of a corruption's name: the average over all corruptions
CLEAN = "clean"  # the picture without corruption
PICTURE = "stress-{}.png"  # file of one test image under a corruption, beside the metrics


@dataclass(frozen=True)
class CorruptionFigures:
    """The models under one corruption, or on average over all.

    Attributes:
      corruption: its name; `mean` for the average over all.
      accuracy: of the candidate.
      fall: accuracy of the candidate on the same images without the corruption, minus `accuracy`.
      baseline_accuracy: of the model in production; None without one.
      change: `accuracy` minus `baseline_accuracy`; None without one.
    """

    corruption: str
    accuracy: float
    fall: Estimate
    baseline_accuracy: float | None = None
    change: Estimate | None = None


@dataclass(frozen=True)
class StressFigures:
    """A stress test.

    Attributes:
      images: how many test images were corrupted.
      severity: 1 to 5.
      confidence: of each bound: so high that all checks together refuse a sound model as rarely as the gate says.
      accuracy: of the candidate on these images without corruption.
      baseline_accuracy: that of the model in production; None without one.
      corruptions: one row each.
      mean: the average over the corruptions.
      smallest_change: how far beyond its bound a regression under one corruption must be to be detected in 4 of 5
        cases; None without a model in production, or if no regression is bounded.
      worth_detecting: how far beyond its bound a regression is that the test should detect: the bound itself, or 0.05
        if that is more; None where `smallest_change` is.
      images_needed: how many images that takes; None where `smallest_change` is.
    """

    images: int
    severity: int
    confidence: float
    accuracy: float
    baseline_accuracy: float | None
    corruptions: Sequence[CorruptionFigures]
    mean: CorruptionFigures
    smallest_change: float | None = None
    worth_detecting: float | None = None
    images_needed: int | None = None

    @property
    def rows(self) -> list[CorruptionFigures]:
        """Each corruption, then the average."""
        return [*self.corruptions, self.mean]


def parse(content: Mapping[str, Any] | None) -> StressFigures | None:
    """Figures from the JSON of `dataclasses.asdict`; None if there are none, as in verdicts of older releases."""
    if content is None:
        return None
    rows = list(map(_row, content["corruptions"]))
    return StressFigures(**{**content, "corruptions": rows, "mean": _row(content["mean"])})


def pictures(folder: str, figures: StressFigures) -> dict[str, bytes]:
    """One test image without corruption (`clean`) and under each, as PNG; those whose files are gone are left out.

    Args:
      folder: of the ModelEvaluation artifact.
      figures: whose corruptions give the order.
    """
    names = [CLEAN, *(row.corruption for row in figures.corruptions)]
    paths = {name: Path(folder, PICTURE.format(name)) for name in names}
    return {name: path.read_bytes() for name, path in paths.items() if path.is_file()}


def _row(content: Mapping[str, Any]) -> CorruptionFigures:
    change = Estimate(**content["change"]) if content["change"] else None
    return CorruptionFigures(**{**content, "fall": Estimate(**content["fall"]), "change": change})
