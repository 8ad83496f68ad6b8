"""L2-regularised multinomial logistic regression, fitted to its optimum on features that are computed once.

It minimises, over kernel and bias,

    weighted mean of the cross-entropy + penalty / 2 * sum of the squares of the kernel

so that a penalty means the same for any number of images: scikit-learn's `C` is 1 / (images * penalty). The bias is
free. Features are centred, and each block of them is divided by the root of its mean variance. Within a block they keep
their relative sizes: standardising each feature would enlarge the weak ones, which are mostly noise. The blocks before
the last are multiplied by a weight, which is chosen together with the penalty.

L-BFGS works in coordinates in which the curvature is about 1 in all directions at first: tens of steps instead of
hundreds. With fewer examples than features, there are only as many coordinates as examples.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import scipy.linalg
import scipy.optimize
import scipy.special
import threadpoolctl

from modules.training.logistic_solver import Coordinates, chunks, moments

CROSS_VALIDATION, EVAL, GIVEN = "cross_validation", "eval", "given"  # what chose the penalty and the weight

# Eval judges if it has as many images; on fewer, the noise of its loss would decide.
ENOUGH_FOR_EVAL = 1000
FOLDS = 5
_ENOUGH_FOR_FOLDS = 2000  # images; no more folds are held out than it takes to measure as many

WEIGHTS = (0.0, 0.3, 1.0)  # of the blocks before the last
_FIRST_PENALTY, _LEAST_PENALTY, _LARGEST_PENALTY = 0.1, 1e-5, 1e3
_STEPS = (10.0, 10**0.5)  # factors between penalties: the second refines what the first found
# Share by which a weaker penalty, or more weight on earlier blocks, must lower the loss: where nothing is at stake,
# less is safer.
GAIN = 0.01

_LOSS, _LOSS_OF_TRIAL = 1e-9, 1e-6  # smallest change of the loss (relative above 1), in the last fit and in trials
_SMALLEST = 1e-7  # a probability below it counts as this, as in Keras's losses


@dataclass(frozen=True)
class Examples:
    """What a head is fitted on, or judged by.

    Attributes:
      features: float16 or float32 [images, views, features]; in memory, or mapped from a file.
      labels: int64 [images], indices of classes.
      weights: float [images], of the examples; each view of an image has an equal part of it. None for 1 each.
    """

    features: np.ndarray
    labels: np.ndarray
    weights: np.ndarray | None = None


@dataclass(frozen=True)
class Options:
    """How a head is fitted.

    Attributes:
      classes: how many there are.
      blocks: how many of the features are of each block, from the backbone's input on; empty for one block.
      penalty: strength of the L2 penalty, above 0; None to choose it.
      label_smoothing: share of each label that is spread over all classes, also where the loss is measured.
      seed: of the folds.
    """

    classes: int
    blocks: tuple[int, ...] = ()
    penalty: float | None = None
    label_smoothing: float = 0.0
    seed: int = 0

    @property
    def weights(self) -> tuple[float, ...]:
        """What the weight of the earlier blocks is chosen from."""
        return WEIGHTS if len(self.blocks) > 1 else WEIGHTS[:1]

    def judge(self, eval_images: int) -> str:
        """What chooses penalty and weight, where eval has this many images."""
        if self.penalty is not None and len(self.weights) == 1:
            return GIVEN
        return EVAL if eval_images >= ENOUGH_FOR_EVAL else CROSS_VALIDATION


@dataclass(frozen=True)
class Trial:
    """A penalty and a weight that were tried.

    Attributes:
      penalty: strength of the L2 penalty.
      weight: of the blocks before the last.
      loss: mean cross-entropy of the examples that it was fitted on, weighted; over all folds.
      val_loss: of those that it was not fitted on, unweighted.
      val_accuracy: share of them whose most probable class is the true one.
      iterations: of L-BFGS, over all folds.
      seconds: that the fits took.
    """

    penalty: float
    weight: float
    loss: float
    val_loss: float
    val_accuracy: float
    iterations: int
    seconds: float


@dataclass(frozen=True)
class Fitted:
    """A head: `features @ kernel + bias` are the logits.

    Attributes:
      kernel: float32 [features, classes], for features as they are: scales and weights of the blocks are in it.
      bias: float32 [classes].
      penalty: the one that was used.
      weight: of the blocks before the last; 0 if only the last one is used.
      chosen_by: `given`, `eval` or `cross_validation`.
      trials: what was tried, in this order.
      figures: `loss` and `accuracy` on the training examples, `val_loss` and `val_accuracy` on eval.
      iterations: of L-BFGS in the last fit.
      converged: whether the last fit reached its optimum.
    """

    kernel: np.ndarray
    bias: np.ndarray
    penalty: float
    weight: float
    chosen_by: str
    figures: dict[str, float]
    iterations: int
    converged: bool
    trials: list[Trial] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        """All but kernel and bias, for the history; JSON-serialisable."""
        own = ("penalty", "weight", "chosen_by", "iterations", "converged")
        return {name: getattr(self, name) for name in own} | {"trials": [asdict(trial) for trial in self.trials]}


# Threads that share small products wait for each other: on a busy machine, two were 30 times slower than one.
@threadpoolctl.threadpool_limits.wrap(limits=1, user_api="blas")
def fit(
    train: Examples, evaluation: Examples, options: Options, on_trial: Callable[[Trial], None] = lambda trial: None
) -> Fitted:
    """Fits a head on the training examples. The same arguments give the same head.

    What the options leave open is chosen by the loss on eval if eval has ENOUGH_FOR_EVAL images, else by that of
    cross-validation over the training examples; see `_search`. The head is then fitted on all training examples.

    Args:
      train: examples to fit, of at least two classes.
      evaluation: examples with one view; at least one. They are never fitted.
      options: how.
      on_trial: called after each penalty and weight that were tried.
    """
    problem, answers = _Problem(train, options), _Answers(evaluation, options)
    chosen_by = options.judge(len(evaluation.labels))
    trials: list[Trial] = []
    if chosen_by == GIVEN:
        penalty, weight, start = options.penalty or 0.0, options.weights[0], None
    else:
        judge = _OnEval(problem, answers) if chosen_by == EVAL else _CrossValidation(problem, options.seed)

        def attempt(weight: float, penalty: float) -> _Attempt:
            made = judge(weight, penalty)
            trials.append(made.trial)
            on_trial(made.trial)
            return made

        best = _search(attempt, options)
        penalty, weight, start = best.trial.penalty, best.trial.weight, best.solution
    coordinates = problem.coordinates(weight)
    optimum = coordinates.fit(penalty, problem.weights, start, _LOSS)
    kernel, bias = coordinates.on_features(optimum.solution)
    loss, accuracy = _summary(*problem.measured(coordinates, optimum.solution))
    val_loss, val_accuracy = _summary(*answers.measured(kernel, bias))
    figures = {"loss": loss, "accuracy": accuracy, "val_loss": val_loss, "val_accuracy": val_accuracy}
    return Fitted(kernel, bias, penalty, weight, chosen_by, figures, optimum.iterations, optimum.converged, trials)


@dataclass(frozen=True)
class _Attempt:
    trial: Trial
    losses: np.ndarray  # of each image that was measured
    solution: np.ndarray


def _search(attempt: Callable[[float, float], _Attempt], options: Options) -> _Attempt:
    """The best penalty for each weight, then the best weight.

    Penalties become weaker as long as each lowers the loss by GAIN, or else stronger as long as each lowers it. The
    search begins in large steps; for the next weight, in small ones from the best penalty so far. A larger weight must
    lower the loss by GAIN, and by more than one standard error of the difference.
    """
    best: _Attempt | None = None
    for weight in options.weights:
        if options.penalty is not None:
            found = attempt(weight, options.penalty)
        elif best is None:
            found = attempt(weight, _FIRST_PENALTY)
            for step in _STEPS:
                found = _climb(attempt, found, step)
        else:
            found = _climb(attempt, attempt(weight, best.trial.penalty), _STEPS[-1])
        if best is None or _pays(found.losses, best.losses):
            best = found
    assert best is not None  # there is at least one weight
    return best


def _climb(attempt: Callable[[float, float], _Attempt], start: _Attempt, step: float) -> _Attempt:
    """Goes weaker in steps, or else stronger, while it helps."""
    best = start
    for factor, share in ((1 / step, 1 - GAIN), (step, 1.0)):
        while _LEAST_PENALTY <= (penalty := _half_decade(best.trial.penalty * factor)) <= _LARGEST_PENALTY:
            made = attempt(best.trial.weight, penalty)
            if not made.trial.val_loss < best.trial.val_loss * share:
                break
            best = made
        if best is not start:
            break
    return best


def _half_decade(penalty: float) -> float:
    """The nearest of 0.001, 0.00316, 0.01 and so on: factors of rounded numbers would lead beside them."""
    return float(f"{10 ** (round(2 * math.log10(penalty)) / 2):.3g}")


def _pays(losses: np.ndarray, before: np.ndarray) -> bool:
    """Whether losses of the same images are lower by more than chance, and by enough to matter."""
    gains = before - losses
    return bool(gains.mean() > max(GAIN * before.mean(), gains.std() / np.sqrt(len(gains))))


class _Problem:
    """The training examples.

    Attributes:
      labels: int64 [images].
      targets: float32 [images * views, classes].
      weights: float32 [images * views].
      views: of each image.
      options: how it is solved.
    """

    def __init__(self, train: Examples, options: Options):
        images, self.views, width = train.features.shape
        self.options, self.labels = options, train.labels
        self.targets = _targets(np.repeat(train.labels, self.views), options)
        own = np.ones(images, np.float32) if train.weights is None else train.weights
        self.weights = np.repeat(own, self.views).astype(np.float32)
        self._features = train.features.reshape(images * self.views, width)
        self._mean, self._scale = moments(self._features, options.blocks or (width,))
        self._coordinates: tuple[float, Coordinates] | None = None

    def coordinates(self, weight: float) -> Coordinates:
        """Those of a weight of the earlier blocks; they are kept until another weight is asked for."""
        if self._coordinates is None or self._coordinates[0] != weight:
            self._coordinates = None  # frees memory
            last = self.options.blocks[-1] if self.options.blocks else len(self._scale)
            scale = self._scale.copy()
            scale[:-last] *= weight
            first = 0 if weight else len(scale) - last
            rows = np.empty((len(self._features), len(scale) - first), np.float32)
            for part in chunks(len(rows)):
                rows[part] = (self._features[part, first:] - self._mean[first:]) * scale[first:]
            self._coordinates = weight, Coordinates(rows, self.targets, self._mean, scale)
        return self._coordinates[1]

    def measured(
        self, coordinates: Coordinates, solution: np.ndarray, images: np.ndarray | slice = slice(None)
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `_measured`; of the images themselves, which are the first of their views."""
        logits = coordinates.logits(solution)[:: self.views]
        return _measured(logits[images], self.labels[images], self.options)


class _Answers:
    """Measures heads on eval."""

    def __init__(self, evaluation: Examples, options: Options):
        self._evaluation, self._options = evaluation, options

    def measured(self, kernel: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `_measured`."""
        features = self._evaluation.features[:, 0]
        logits = np.concatenate([features[part].astype(np.float32) @ kernel + bias for part in chunks(len(features))])
        return _measured(logits, self._evaluation.labels, self._options)


class _OnEval:
    """Judges by the loss on eval."""

    def __init__(self, problem: _Problem, answers: _Answers):
        self._problem, self._answers = problem, answers
        self._starts: dict[float, np.ndarray] = {}  # by weight

    def __call__(self, weight: float, penalty: float) -> _Attempt:
        began, problem = time.monotonic(), self._problem
        coordinates = problem.coordinates(weight)
        optimum = coordinates.fit(penalty, problem.weights, self._starts.get(weight), _LOSS_OF_TRIAL)
        self._starts[weight] = optimum.solution
        losses, hits = self._answers.measured(*coordinates.on_features(optimum.solution))
        seconds = time.monotonic() - began
        trial = Trial(penalty, weight, optimum.loss, *_summary(losses, hits), optimum.iterations, seconds)
        return _Attempt(trial, losses, optimum.solution)


class _CrossValidation:
    """Judges by the loss on training images that were not fitted; each is at most once among them.

    Means and scales of features, which know no labels, are those of all training examples.
    """

    def __init__(self, problem: _Problem, seed: int):
        self._problem = problem
        self._fold_of = _folds(problem.labels, seed)
        self._held_out = min(FOLDS, -(-FOLDS * _ENOUGH_FOR_FOLDS // len(self._fold_of)))
        self._starts: dict[tuple[float, int], np.ndarray] = {}  # by weight and fold

    def __call__(self, weight: float, penalty: float) -> _Attempt:
        began, problem = time.monotonic(), self._problem
        coordinates = problem.coordinates(weight)
        optima, measured = [], []
        for fold in range(self._held_out):
            held_out = self._fold_of == fold
            weights = problem.weights * ~np.repeat(held_out, problem.views)
            optima.append(coordinates.fit(penalty, weights, self._starts.get((weight, fold)), _LOSS_OF_TRIAL))
            self._starts[weight, fold] = optima[-1].solution
            measured.append(problem.measured(coordinates, optima[-1].solution, held_out))
        losses, hits = (np.concatenate(part) for part in zip(*measured, strict=True))
        loss, iterations = float(np.mean([one.loss for one in optima])), sum(one.iterations for one in optima)
        trial = Trial(penalty, weight, loss, *_summary(losses, hits), iterations, time.monotonic() - began)
        return _Attempt(trial, losses, np.mean([one.solution for one in optima], axis=0))


def _folds(labels: np.ndarray, seed: int) -> np.ndarray:
    """Int [images]: the fold of each image; the images of each class are spread evenly."""
    order = np.random.default_rng(seed).permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    fold_of = np.empty(len(labels), int)
    fold_of[by_class] = np.arange(len(labels)) % FOLDS
    return fold_of


def _targets(labels: np.ndarray, options: Options) -> np.ndarray:
    """float32 [rows, classes]: 1 for the label's class, smoothed."""
    smoothing = options.label_smoothing
    targets = np.full((len(labels), options.classes), smoothing / options.classes, np.float32)
    targets[np.arange(len(labels)), labels] += 1 - smoothing
    return targets


def _measured(logits: np.ndarray, labels: np.ndarray, options: Options) -> tuple[np.ndarray, np.ndarray]:
    """Loss of each image, and whether its most probable class is the true one."""
    logs = np.maximum(scipy.special.log_softmax(logits.astype(np.float64), axis=1), np.log(_SMALLEST))
    return -np.einsum("ij,ij->i", _targets(labels, options), logs), logits.argmax(axis=1) == labels


def _summary(losses: np.ndarray, hits: np.ndarray) -> tuple[float, float]:
    """Mean loss and accuracy."""
    return float(losses.mean()), float(hits.mean())
