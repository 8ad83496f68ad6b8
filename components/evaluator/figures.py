"""Figures of an evaluation that no check is about: for people who look at them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from components.evaluator.verdict import Change

# Naeini et al., https://ojs.aaai.org/index.php/AAAI/article/view/9602, and Guo et al., https://arxiv.org/abs/1706.04599
CALIBRATION_BINS = 15  # of equal width


@dataclass(frozen=True)
class SliceFigures:
    """The candidate on some of the test images.

    Attributes:
      name: the slice, as `feature=value`; `overall` for all.
      examples: number of test images.
      accuracy: of the candidate.
      accuracy_bounds: lower and upper confidence bound of the accuracy.
      change: against the baseline; None without one.
      calibration_error: expected calibration error, 0 to 1.
    """

    name: str
    examples: int
    accuracy: float | None
    accuracy_bounds: tuple[float, float]
    change: Change | None
    calibration_error: float | None


@dataclass(frozen=True)
class EvaluationFigures:
    """What TFMA counted.

    Attributes:
      confusion: int64 [classes, classes]: rows are true classes, columns are the candidate's answers.
      slices: the overall figures first.
    """

    confusion: np.ndarray
    slices: Sequence[SliceFigures]
