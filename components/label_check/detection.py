"""Which labels are wrong: out-of-fold answers of a logistic regression, and a model of what noise does to labels.

No image is judged by a classifier that was fitted on it: it could have learned the wrong label by heart. Then two
numbers are fitted to the labels by maximum likelihood: how sure the classifier may be (a temperature, as in Guo et al.,
https://arxiv.org/abs/1706.04599), and the share of labels that are wrong, evenly spread over the other classes (the
symmetric noise of Patrini et al., https://arxiv.org/abs/1609.03683):

    p(label) = (1 - noise) * softmax(logits / temperature)[label] + noise * (1 - softmax(...)[label]) / (classes - 1)

The second term's share of p(label) is the probability that the label is wrong. In clean data the noise is next to
nothing, and so no image is called wrong, however unusual it is; a bound on the answers alone cannot do that.
docs/benchmarks.md compares this with the methods of cleanlab.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy.optimize
import scipy.special
import threadpoolctl

from modules.training.logistic_solver import Coordinates, chunks, moments

FOLDS = 5
FEWEST_IMAGES = 2 * FOLDS
"""A class with fewer images is not judged: the classifier would hardly know it."""
PENALTY = 0.05
"""Of the logistic regression; docs/benchmarks.md compares it with others."""

MOST_FITTED = 50_000  # images: a bound on memory; up to it, more images find more wrong labels
PASSES = 2  # the classifiers of the second are fitted on each image as far as its label is right by the first
_LEAST_CHANGE = 1e-5  # smallest change of the loss at which a fit goes on
_SMALLEST = 1e-12
_TEMPERATURES = ((-4.0, -1.5), (-1.5, 0.0), (0.0, 2.5))  # their logarithms: ranges that are searched
_TEMPERATURES = ((-4.0, -1.5), (-1.5, 0.0), (0.0, 2.5))  # their logarithms: ranges that are searched
_FEWEST_FOR_NOISE, _CELLS_FOR_NOISE = 5_000, 1_000_000  # images; images times classes
_STARTS = ((1.0, 0.05), (0.5, 0.005), (0.25, 0.001))  # temperature and share of wrong labels


class Features(Protocol):
    """An array [images, features] in memory or on the disk, of which some rows are read at a time."""

    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray: ...


@dataclass(frozen=True)
class Judged:
    """What became of each label.

    Attributes:
      wrong: float32 [images]: probability that the label is wrong, 0 to 1.
      own: float32 [images]: probability of the label, by a classifier that did not see the image; calibrated.
      likely: int64 [images]: the most probable class other than the label.
      noise: estimated share of wrong labels, 0 to 1.
      temperature: by which logits are divided.
      judged: bool [images]: False for images of classes with fewer than FEWEST_IMAGES, whose `wrong` is 0.
    """

    wrong: np.ndarray
    own: np.ndarray
    likely: np.ndarray
    noise: float
    temperature: float
    judged: np.ndarray


# Threads that share small products wait for each other on a busy machine; see modules/training/logistic.py.
@threadpoolctl.threadpool_limits.wrap(limits=1, user_api="blas")
def judge(
    features: Features,
    labels: np.ndarray,
    units: np.ndarray,
    blocks: tuple[int, ...],
    penalty: float = PENALTY,
    passes: int = PASSES,
) -> Judged:
    """Judges every label. The same arguments give the same result.

    Args:
      features: float16 or float32 [images, features].
      labels: int64 [images], indices of the classes, of which there are two or more.
      units: [images], of any type: images of one unit, such as frames of one scene, are in one fold.
      blocks: how many of the features are of each block; each block gets the same variance.
      penalty: of the logistic regression, above 0.
      passes: 1 or more.
    """
    classes = int(labels.max()) + 1
    classifiers = OutOfFold(features, labels, folds(labels, units), blocks, classes, penalty)
    sample = classifiers.sample
    some = _fewer(sample, classes)
    temperature, noise = fit_noise(classifiers.logits(some), labels[some])
    for _ in range(passes - 1):
        wrong, _, _ = _judged(classifiers.logits(sample), labels[sample], temperature, noise)
        classifiers.fit(1 - wrong)
        temperature = fit_temperature(classifiers.logits(some), labels[some], noise)
    parts = [_judged(classifiers.logits(rows), labels[rows], temperature, noise) for rows in _rows(len(labels))]
    wrong, own, likely = (np.concatenate(part) for part in zip(*parts, strict=True))
    judged = np.bincount(labels, minlength=classes)[labels] >= FEWEST_IMAGES
    return Judged(np.where(judged, wrong, 0).astype(np.float32), own, likely, noise, temperature, judged)


def fit_noise(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """The most likely temperature and share of wrong labels.

    Args:
      logits: float [images, classes], of classifiers that did not see the images.
      labels: int64 [images].

    Returns:
      temperature, above 0; noise, 0 to 1.
    """
    # With few wrong labels there are two optima: one without noise, where the classifier is less sure.
    starts = [(np.log(temperature), scipy.special.logit(noise)) for temperature, noise in _STARTS]
    options = {"xatol": 1e-3, "fatol": 1e-7}
    tried = [
        scipy.optimize.minimize(
            lambda point: _loss(logits, labels, np.exp(point[0]), scipy.special.expit(point[1])),
            start,
            method="Nelder-Mead",
            options=options,
        )
        for start in starts
    ]
    best = min(tried, key=lambda one: float(one.fun))
    return float(np.exp(best.x[0])), float(scipy.special.expit(best.x[1]))


def fit_temperature(logits: np.ndarray, labels: np.ndarray, noise: float) -> float:
    """The most likely temperature where the share of wrong labels is known.

    Classifiers that were not fitted on the wrong labels no longer show how many there are: that some labels are wrong,
    and that a classifier is a little less sure of all, are then equally likely.

    Args:
      logits: float [images, classes], of classifiers that did not see the images.
      labels: int64 [images].
      noise: share of wrong labels, 0 to 1.
    """
    tried = [
        scipy.optimize.minimize_scalar(
            lambda logarithm: _loss(logits, labels, np.exp(logarithm), noise), bounds=bounds, method="bounded"
        )
        for bounds in _TEMPERATURES
    ]
    return float(np.exp(min(tried, key=lambda one: float(one.fun)).x))


def _loss(logits: np.ndarray, labels: np.ndarray, temperature: float, noise: float) -> float:
    """Mean of the negative logarithm of the labels' probabilities."""
    right, wrong, _ = _terms(logits, labels, temperature, noise)
    return -float(np.log(np.maximum(right + wrong, _SMALLEST)).mean())


def _terms(
    logits: np.ndarray, labels: np.ndarray, temperature: float, noise: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probability that the label is given and right, that it is given and wrong, and the answers [images, classes]."""
    answers = scipy.special.softmax(logits / temperature, axis=1)
    own = answers[np.arange(len(labels)), labels]
    return (1 - noise) * own, noise * (1 - own) / (logits.shape[1] - 1), answers


def _judged(
    logits: np.ndarray, labels: np.ndarray, temperature: float, noise: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    right, wrong, answers = _terms(logits, labels, temperature, noise)
    rows = np.arange(len(labels))
    own = answers[rows, labels].copy()
    answers[rows, labels] = -1
    return wrong / np.maximum(right + wrong, _SMALLEST), own.astype(np.float32), answers.argmax(axis=1)


class OutOfFold:
    """One classifier per fold, fitted on the other folds.

    Attributes:
      sample: int64, in order: the images that are fitted.
    """

    def __init__(
        self,
        features: Features,
        labels: np.ndarray,
        fold_of: np.ndarray,
        blocks: tuple[int, ...],
        classes: int,
        penalty: float = PENALTY,
    ):
        """Fits them, on all images alike.

        Args:
          features: float16 or float32 [images, features].
          labels: int64 [images].
          fold_of: int [images], from `folds`.
          blocks: see `judge`.
          classes: how many there are.
          penalty: of the logistic regression, above 0.
        """
        self._features, self._folds, self._penalty = features, fold_of, penalty
        self.sample = _sample(len(labels))
        rows = np.asarray(features[self.sample], np.float32)
        mean, scale = moments(rows, blocks)
        rows -= mean
        rows *= scale
        targets = np.zeros((len(self.sample), classes), np.float32)
        targets[np.arange(len(self.sample)), labels[self.sample]] = 1
        self._coordinates = Coordinates(rows, targets, mean, scale)
        self._classifiers: list[tuple[np.ndarray, np.ndarray]] = []
        self._starts: list[np.ndarray | None] = [None] * FOLDS
        self.fit(np.ones(len(self.sample)))

    def fit(self, weights: np.ndarray) -> None:
        """Fits all classifiers, from where they are.

        Args:
          weights: [sample], of the images, 0 to 1.
        """
        self._classifiers = []
        for fold in range(FOLDS):
            own = (weights * (self._folds[self.sample] != fold)).astype(np.float32)
            optimum = self._coordinates.fit(self._penalty, own, self._starts[fold], _LEAST_CHANGE)
            self._starts[fold] = optimum.solution
            if fold + 1 < FOLDS and self._starts[fold + 1] is None:
                self._starts[fold + 1] = optimum.solution  # four fifths of the images are the same
            self._classifiers.append(self._coordinates.on_features(optimum.solution))

    def logits(self, rows: np.ndarray) -> np.ndarray:
        """float32 [rows, classes]: each row's by the classifier that did not see it."""
        features, folds = np.asarray(self._features[rows], np.float32), self._folds[rows]
        result = np.empty((len(rows), len(self._classifiers[0][1])), np.float32)
        for fold, (kernel, bias) in enumerate(self._classifiers):
            result[folds == fold] = features[folds == fold] @ kernel + bias
        return result


def folds(labels: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Int [images]: the fold of each image; units are spread evenly, class by class."""
    _, first, unit_of = np.unique(units, return_index=True, return_inverse=True)
    order = np.random.default_rng(0).permutation(len(first))
    by_class = order[np.argsort(labels[first][order], kind="stable")]
    fold_of = np.empty(len(first), int)
    fold_of[by_class] = np.arange(len(first)) % FOLDS
    return fold_of[unit_of]


def _sample(count: int) -> np.ndarray:
    """int64, in order: the images that are fitted."""
    return np.sort(np.random.default_rng(1).permutation(count)[:MOST_FITTED])


def _fewer(rows: np.ndarray, classes: int) -> np.ndarray:
    """Some of the rows, evenly: two numbers are fitted to them, and with many classes that would take minutes."""
    most = max(_FEWEST_FOR_NOISE, _CELLS_FOR_NOISE // classes)
    return rows[:: -(-len(rows) // most)]


def _rows(count: int) -> list[np.ndarray]:
    return [np.arange(part.start, part.stop) for part in chunks(count)]
