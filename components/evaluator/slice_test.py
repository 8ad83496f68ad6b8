"""Whether a model is worse on some of the images than on others of the same classes: an exact test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.stats


def probability(part: np.ndarray, right: np.ndarray, labels: np.ndarray) -> float:
    """The p-value of the number of mistakes in a part of the images, one-sided.

    The null hypothesis is that within each class the mistakes are as frequent in the part as elsewhere. So a part is
    not bad because it has more images of a class that is hard. Given the numbers of mistakes and images of each class,
    the mistakes in the part are a sum of hypergeometric variables, whose distribution is computed exactly: Birch's
    test, https://doi.org/10.1111/j.2517-6161.1964.tb00563.x; with one class it is Fisher's.

    Args:
      part: bool [images], the images of the part.
      right: bool [images], whether the model is right.
      labels: int64 [images], index of the true class.

    Returns:
      [0, 1]; 1 where the part and the rest have no class in common.
    """
    mistakes, distribution = 0, np.ones(1)
    classes = int(labels.max(initial=-1)) + 1
    images, in_part, wrong, wrong_in_part = (
        np.bincount(labels[chosen], minlength=classes) for chosen in (part | ~part, part, ~right, part & ~right)
    )
    for number in np.flatnonzero((wrong > 0) & (in_part > 0) & (in_part < images)):
        most = min(wrong[number], in_part[number])
        of_class = scipy.stats.hypergeom.pmf(np.arange(most + 1), images[number], wrong[number], in_part[number])
        distribution = np.convolve(distribution, of_class)
        mistakes += int(wrong_in_part[number])
    return float(min(1.0, distribution[mistakes:].sum()))


def expected_accuracy(part: np.ndarray, right: np.ndarray, labels: np.ndarray) -> float | None:
    """The accuracy on the other images, with each class weighted as in the part.

    Args:
      part: bool [images], the images of the part.
      right: bool [images], whether the model is right.
      labels: int64 [images], index of the true class.

    Returns:
      [0, 1]; None if no class of the part has other images.
    """
    classes = int(labels.max(initial=-1)) + 1
    in_part, others, right_others = (
        np.bincount(labels[chosen], minlength=classes) for chosen in (part, ~part, ~part & right)
    )
    weights = np.where(others > 0, in_part, 0)
    if not weights.any():
        return None
    return float((weights * right_others / np.maximum(others, 1)).sum() / weights.sum())


def holm(probabilities: Sequence[float]) -> list[float]:
    """P-values adjusted for their number: Holm, https://www.jstor.org/stable/4615733; in the same order."""
    order = np.argsort(probabilities, kind="stable")
    factors = np.arange(len(order), 0, -1)
    adjusted = np.minimum(1.0, np.maximum.accumulate(np.asarray(probabilities)[order] * factors))
    result = np.empty(len(order))
    result[order] = adjusted
    return [float(value) for value in result]
