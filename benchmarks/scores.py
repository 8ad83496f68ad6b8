"""How good a classifier's probabilities are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BINS = 15
_LOWEST = 1e-7  # a probability of 0 for the true class costs 16.1, not infinity


@dataclass(frozen=True)
class Scores:
    """Of one classifier on one set of images.

    Attributes:
      accuracy: share of images whose class has the highest probability.
      balanced_accuracy: mean over the classes of that share.
      weighted_accuracy: mean of that share, each class with its weight.
      log_loss: mean of the negative logarithm (base e) of the true class's probability.
      calibration_error: see `calibration_error`.
      images: how many images were scored.
    """

    accuracy: float
    balanced_accuracy: float
    weighted_accuracy: float
    log_loss: float
    calibration_error: float
    images: int


def score(labels: np.ndarray, probabilities: np.ndarray, weights: Sequence[float]) -> Scores:
    """Scores a classifier.

    Args:
      labels: int [images], indices of the true classes.
      probabilities: float [images, classes], each row with the sum 1.
      weights: of the classes, for `weighted_accuracy`; classes without a test image do not count.
    """
    right = probabilities.argmax(axis=1) == labels
    true = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    tested = np.unique(labels)
    recalls = [right[labels == label].mean() for label in tested]
    return Scores(
        accuracy=float(right.mean()),
        balanced_accuracy=float(np.mean(recalls)),
        weighted_accuracy=float(np.average(recalls, weights=np.asarray(weights)[tested])),
        log_loss=float(-np.log(np.clip(true, _LOWEST, 1)).mean()),
        calibration_error=calibration_error(right, probabilities.max(axis=1)),
        images=len(labels),
    )


def calibration_error(right: np.ndarray, confidence: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error with bins of equal width (Guo et al., https://arxiv.org/abs/1706.04599, section 2).

    Args:
      right: bool [images], whether the answer was right.
      confidence: float [images], the highest probability, above 0 and up to 1.
      bins: each takes the confidences above its lower end, up to its upper end.

    Returns:
      the mean over the images of the distance between accuracy and mean confidence of the image's bin; 0 to 1.
    """
    number = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    distances = [
        abs(right[number == one].mean() - confidence[number == one].mean()) * (number == one).sum()
        for one in np.unique(number)
    ]
    return float(sum(distances) / len(right))
