"""Which images a trial trains on, and on which it is scored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modules.data.cached_features import FeatureTable
from modules.tuning.rungs import FOLDS

# Images that score a trial, if it trains on fewer. The standard error of a log loss over 300 images is about .05, and
# that of the difference of two trials, which have the same images, about half of it.
SCORED = 300


@dataclass(frozen=True)
class Fold:
    """Images to train on, and to be scored on.

    Attributes:
      train: activations; each image has all of its views.
      evaluation: activations.
    """

    train: FeatureTable
    evaluation: FeatureTable


class Folds:
    """The splits train and eval or, for cross-validation, both together in FOLDS parts."""

    def __init__(self, train: FeatureTable, evaluation: FeatureTable, cross_validated: bool, seed: int):
        """Decides which image is in which fold. Each class has about the same share in all folds.

        Args:
          train: the training split's activations.
          evaluation: the eval split's.
          cross_validated: whether both splits are used together.
          seed: another one gives other folds.
        """
        self._train, self._evaluation = train, evaluation
        self._labels = np.concatenate([train.labels, evaluation.labels])
        rank = _rank_in_class(self._labels, np.random.default_rng(seed))
        everything = np.arange(len(self._labels))
        self._folds = [(everything[rank % FOLDS != index], everything[rank % FOLDS == index]) for index in range(FOLDS)]
        if not cross_validated:
            self._folds = [(everything[: train.images], everything[train.images :])]
        self._rank = rank

    @property
    def bytes_of_an_image(self) -> int:
        """Bytes that the activations of all views of a training image take."""
        return self._train.bytes_of_an_image

    @property
    def training_images(self) -> int:
        """Images of the training split."""
        return self._train.images

    @property
    def images(self) -> int:
        """Images that a trial can train on at most."""
        return min(len(train) for train, _ in self._folds)

    def fold(self, index: int, images: int) -> Fold:
        """One fold, with fewer images; those of a smaller number are among those of a larger one.

        Args:
          index: 0, or below FOLDS for cross-validation.
          images: to train on, at most.
        """
        train, evaluation = self._folds[index]
        chosen = self._first(train, images)
        scored = self._first(evaluation, max(SCORED, images))
        return Fold(self._train.rows(chosen, self._evaluation), self._train.rows(scored, self._evaluation).drawing(1))

    def _first(self, indices: np.ndarray, count: int) -> np.ndarray:
        """Some of them, of each class about the same share; sorted, as tables are read fastest."""
        labels = self._labels[indices]
        within = np.empty(len(indices))
        for label in np.unique(labels):
            (members,) = np.nonzero(labels == label)
            order = np.argsort(self._rank[indices[members]])
            within[members[order]] = np.arange(len(members)) / len(
                members
            )  # so each class has an image among the first
        return np.sort(indices[np.argsort(within, kind="stable")[:count]])


def _rank_in_class(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random order of each class: int64 [images], from 0."""
    rank = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        (members,) = np.nonzero(labels == label)
        rank[members] = rng.permutation(len(members))
    return rank
