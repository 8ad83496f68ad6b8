"""How often answers with a given score are right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from components.evaluator.figures import CALIBRATION_BINS as BINS
from pipeline.report.predicted import Answers


@dataclass(frozen=True)
class Reliability:
    """Answers in bins of their score.

    Attributes:
      images: int64 [15]: answers in each bin.
      score: float64 [15]: their mean score; not a number in an empty bin.
      accuracy: float64 [15]: the share of them that is right; not a number in an empty bin.
    """

    images: np.ndarray
    score: np.ndarray
    accuracy: np.ndarray

    @property
    def calibration_error(self) -> float:
        """The expected calibration error, 0 to 1, as the gate has it."""
        filled = self.images > 0
        gaps = np.abs(self.score[filled] - self.accuracy[filled])
        return float(np.average(gaps, weights=self.images[filled])) if filled.any() else 0.0


def of_answers(answers: Answers) -> Reliability:
    """Sorts answers into bins as the gate does."""
    scores = answers.scores.astype(np.float64)
    bins = np.minimum((scores * BINS).astype(int), BINS - 1)
    images = np.bincount(bins, minlength=BINS)
    with np.errstate(invalid="ignore"):
        score = np.bincount(bins, scores, BINS) / images
        accuracy = np.bincount(bins, answers.right, BINS) / images
    return Reliability(images, score, accuracy)
