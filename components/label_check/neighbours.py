"""Which images are nearest to which, and which are far from all others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from config import interruption
from modules.training.logistic_solver import chunks

_OUTLIER_NEIGHBOURS = 10
_REFERENCES = 10_000  # images that outliers are compared with, at most
_OUTLIER_DEVIATIONS = 5.0
_MAD = 1.4826  # times the median absolute deviation is the standard deviation, if the distribution is normal
_MOST_CELLS = 1 << 25  # of a matrix of distances; 128 MiB


@dataclass(frozen=True)
class Nearest:
    """The nearest images of each image.

    Attributes:
      indices: int64 [images, neighbours], of the references, the nearest first.
      distances: float32 [images, neighbours]: cosine distances, 0 to 2.
    """

    indices: np.ndarray
    distances: np.ndarray


def directions(features: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Centred vectors of length 1; float32 [images, features].

    Args:
      features: float [images, features].
      mean: float [features].
    """
    result = np.asarray(features, np.float32) - mean
    lengths = np.linalg.norm(result, axis=1, keepdims=True)
    result /= np.maximum(lengths, np.finfo(np.float32).tiny)
    return result


def nearest(images: np.ndarray, references: np.ndarray, count: int) -> Nearest:
    """The nearest references of each image.

    Args:
      images: float32 [images, features], directions.
      references: float32 [references, features], directions.
      count: how many to find; with fewer references, all of them.
    """
    count = min(count, len(references))
    indices = np.empty((len(images), count), np.int64)
    distances = np.empty((len(images), count), np.float32)
    step = max(1, _MOST_CELLS // max(1, len(references)))
    for start in range(0, len(images), step):
        interruption.check()
        rows = slice(start, start + step)
        all_distances = 1 - images[rows] @ references.T
        some = np.argpartition(all_distances, count - 1, axis=1)[:, :count] if count else indices[rows]
        values = np.take_along_axis(all_distances, some, axis=1)
        order = np.argsort(values, axis=1, kind="stable")
        indices[rows] = np.take_along_axis(some, order, axis=1)
        distances[rows] = np.clip(np.take_along_axis(values, order, axis=1), 0, 2)
    return Nearest(indices, distances)


def outliers(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far each image is from its neighbours, and whether that is unusual.

    The distance is the mean cosine distance to the ten nearest images (Kuan and Mueller,
    https://arxiv.org/abs/2207.03061); it is unusual if it is above the median by five standard deviations, which the
    median absolute deviation estimates.

    Args:
      images: float32 [images, features], directions.

    Returns:
      distances, float32 [images], 0 to 2; bool [images].
    """
    chosen = np.sort(np.random.default_rng(2).permutation(len(images))[:_REFERENCES])
    # An image that is among the references is its own nearest one.
    found = nearest(images, images[chosen], _OUTLIER_NEIGHBOURS + 1)
    is_itself = chosen[found.indices] == np.arange(len(images))[:, np.newaxis]
    distances = np.where(is_itself, np.nan, found.distances)
    distances[~is_itself.any(axis=1), -1] = np.nan  # so that each mean is of the same number of neighbours
    if distances.shape[1] < 2:
        return np.zeros(len(images), np.float32), np.zeros(len(images), bool)
    mean = np.nanmean(distances, axis=1).astype(np.float32)
    middle = np.median(mean)
    spread = _MAD * np.median(np.abs(mean - middle))
    return mean, mean > middle + _OUTLIER_DEVIATIONS * spread


def mean_of(parts: list[np.ndarray]) -> np.ndarray:
    """The mean of each feature over all images; float32 [features].

    Args:
      parts: float [images, features] each; mapped ones are read in pieces.
    """
    total, count = np.zeros(parts[0].shape[1]), sum(map(len, parts))
    for part in parts:
        for rows in chunks(len(part)):
            total += part[rows].sum(axis=0, dtype=np.float64)
    return (total / max(1, count)).astype(np.float32)
