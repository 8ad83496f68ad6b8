"""Which images are nearest to which, and which are far from all others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from components.label_check.detection import Features
from config import interruption

_OUTLIER_NEIGHBOURS = 10
_REFERENCES = 10_000  # images that outliers are compared with, at most
_OUTLIER_DEVIATIONS = 5.0
_MAD = 1.4826  # times the median absolute deviation is the standard deviation, if the distribution is normal
_PIECE = 4096  # images at a time


@dataclass(frozen=True)
class Nearest:
    """The nearest images of each image.

    Attributes:
      indices: int64 [images, neighbours], of the references, the nearest first.
      distances: float32 [images, neighbours]: cosine distances, 0 to 2.
    """

    indices: np.ndarray
    distances: np.ndarray


class Directions:
    """Centred vectors of length 1, of which some are made at a time."""

    def __init__(self, features: Features, rows: np.ndarray, mean: np.ndarray):
        """Wraps some of the images.

        Args:
          features: [images, at least as many features as the mean has]; the last ones are used.
          rows: int64 [directions]: which images.
          mean: float [features].
        """
        self._features, self._rows, self._mean = features, rows, mean

    def __len__(self) -> int:
        return len(self._rows)

    def of(self, rows: np.ndarray) -> Directions:
        """Some of these directions."""
        return Directions(self._features, self._rows[rows], self._mean)

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        """float32 [rows, features]."""
        chosen = np.asarray(self._features[self._rows[rows]], np.float32)
        result = chosen[:, -len(self._mean) :] - self._mean
        result /= np.maximum(np.linalg.norm(result, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        return result


def nearest(images: Directions, references: Directions, count: int) -> Nearest:
    """The nearest references of each image.

    Args:
      images: whose neighbours are searched.
      references: among which they are.
      count: how many to find; with fewer references, all of them.
    """
    parts = [_nearest(images[rows], references, count) for rows in _pieces(len(images))]
    if not parts:
        parts = [Nearest(np.empty((0, count), np.int64), np.empty((0, count), np.float32))]
    return Nearest(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("indices", "distances")))


def _nearest(images: np.ndarray, references: Directions, count: int) -> Nearest:
    indices, distances = np.empty((len(images), 0), np.int64), np.empty((len(images), 0), np.float32)
    for rows in _pieces(len(references)):
        interruption.check()
        more = 1 - images @ references[rows].T
        numbers = np.broadcast_to(np.arange(rows.start, rows.start + more.shape[1]), more.shape)
        distances, indices = np.hstack([distances, more]), np.hstack([indices, numbers])
        best = np.argpartition(distances, min(count, distances.shape[1]) - 1, axis=1)[:, :count]
        distances, indices = np.take_along_axis(distances, best, 1), np.take_along_axis(indices, best, 1)
    order = np.argsort(distances, axis=1, kind="stable")
    return Nearest(np.take_along_axis(indices, order, 1), np.clip(np.take_along_axis(distances, order, 1), 0, 2))


def outliers(images: Directions) -> tuple[np.ndarray, np.ndarray]:
    """How far each image is from its neighbours, and whether that is unusual.

    The distance is the mean cosine distance to the ten nearest images (Kuan and Mueller,
    https://arxiv.org/abs/2207.03061); it is unusual if it is above the median by five standard deviations, which the
    median absolute deviation estimates.

    Args:
      images: all of them.

    Returns:
      distances, float32 [images], 0 to 2; bool [images].
    """
    chosen = np.sort(np.random.default_rng(2).permutation(len(images))[:_REFERENCES])
    # An image that is among the references is its own nearest one.
    found = nearest(images, images.of(chosen), _OUTLIER_NEIGHBOURS + 1)
    is_itself = chosen[found.indices] == np.arange(len(images))[:, np.newaxis]
    distances = np.where(is_itself, np.nan, found.distances)
    distances[~is_itself.any(axis=1), -1] = np.nan  # so that each mean is of the same number of neighbours
    if distances.shape[1] < 2:
        return np.zeros(len(images), np.float32), np.zeros(len(images), bool)
    mean = np.nanmean(distances, axis=1).astype(np.float32)
    middle = np.median(mean)
    spread = _MAD * np.median(np.abs(mean - middle))
    return mean, mean > middle + _OUTLIER_DEVIATIONS * spread


def mean_of(features: Features, count: int, width: int) -> np.ndarray:
    """The mean of each of the last features over all images; float32 [width].

    Args:
      features: [images, features].
      count: number of images.
      width: number of features.
    """
    total = np.zeros(width)
    for rows in _pieces(count):
        total += features[np.arange(rows.start, min(rows.stop, count))][:, -width:].sum(axis=0, dtype=np.float64)
    return (total / max(1, count)).astype(np.float32)


def _pieces(count: int) -> list[slice]:
    """Slices that together are all rows, few enough at a time for memory."""
    return [slice(start, min(start + _PIECE, count)) for start in range(0, count, _PIECE)]
