"""The answers of both models to the test images, as the page needs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from components.evaluator import predictions
from components.evaluator.predictions import Predictions


@dataclass(frozen=True)
class Answers:
    """One model's answers to all test images.

    Attributes:
      classes: names by index.
      labels: int64 [images]: index of the true class; -1 if the model does not know it.
      probabilities: float32 [images, classes]; 0 where the model's answer is not a number.
    """

    classes: Sequence[str]
    labels: np.ndarray
    probabilities: np.ndarray

    @cached_property
    def answers(self) -> np.ndarray:
        """int64 [images]: index of the most probable class, the first of equal ones."""
        return np.argmax(self.probabilities, axis=1)

    @cached_property
    def scores(self) -> np.ndarray:
        """float32 [images]: probability of the answer."""
        return self.probabilities.max(axis=1)

    @cached_property
    def label_scores(self) -> np.ndarray:
        """float32 [images]: probability of the true class."""
        rows = np.arange(len(self.labels))
        return np.where(self.labels >= 0, self.probabilities[rows, self.labels], 0)

    @cached_property
    def right(self) -> np.ndarray:
        """Bool [images]: whether the answer is the true class."""
        return self.answers == self.labels

    def named(self, image: int) -> str:
        """The class that the model named."""
        return self.classes[self.answers[image]]


@dataclass(frozen=True)
class Predicted:
    """The test images, in the order of their keys, and what both models answered.

    Attributes:
      predictions: as Evaluator kept them.
      candidate: its answers.
      baseline: answers of the model in production; None without one.
    """

    predictions: Predictions
    candidate: Answers
    baseline: Answers | None

    @cached_property
    def gained(self) -> np.ndarray:
        """int64 [images]: indices of the images that only the candidate recognised; the surest answers first."""
        return self._changed(gained=True)

    @cached_property
    def lost(self) -> np.ndarray:
        """int64 [images]: indices of the images that only the model in production recognised."""
        return self._changed(gained=False)

    @cached_property
    def mistakes(self) -> np.ndarray:
        """int64 [images]: indices of the images that the candidate got wrong, the surest answers first."""
        wrong = np.flatnonzero(~self.candidate.right)
        return wrong[np.argsort(-self.candidate.scores[wrong], kind="stable")]

    @cached_property
    def uncertain(self) -> np.ndarray:
        """int64 [images]: indices of the images that the candidate got right, the least certain first."""
        right = np.flatnonzero(self.candidate.right)
        return right[np.argsort(self.candidate.scores[right], kind="stable")]

    def _changed(self, gained: bool) -> np.ndarray:
        if self.baseline is None:
            return np.zeros(0, np.int64)
        better, worse = (self.candidate, self.baseline) if gained else (self.baseline, self.candidate)
        changed = np.flatnonzero(better.right & ~worse.right)
        return changed[np.argsort(-self.candidate.scores[changed], kind="stable")]


def of(predictions: Predictions) -> Predicted:
    """Compares the answers with the labels."""
    baseline = None
    if predictions.baseline is not None and predictions.baseline_classes is not None:
        baseline = _answers(predictions.labels, predictions.baseline_classes, predictions.baseline)
    return Predicted(predictions, _answers(predictions.labels, predictions.classes, predictions.candidate), baseline)


def _answers(labels: Sequence[str], classes: Sequence[str], probabilities: np.ndarray) -> Answers:
    known, valid = predictions.label_indices(labels, classes), predictions.valid(probabilities)
    numbers = np.where(valid[:, None], probabilities, np.float32(0))
    # An answer that is not a number is no answer: it is wrong, whatever the class.
    return Answers(classes, np.where(valid, known, predictions.NO_CLASS), numbers)
