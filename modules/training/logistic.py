"""L2-regularised multinomial logistic regression, fitted to its optimum on features that are computed once.

It minimises, over kernel and bias on standardised features,

    weighted mean of the cross-entropy + penalty / 2 * sum of the squares of the kernel

so that a penalty means the same for any number of images: scikit-learn's `C` is 1 / (images * penalty). The bias is
free. L-BFGS works on the principal components of the features, each scaled by the curvature that it has at first. The
penalty is the same in these coordinates, so this changes only the number of steps: tens instead of hundreds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import scipy.linalg
import scipy.optimize
import scipy.special
import threadpoolctl

from config import interruption

CROSS_VALIDATION, EVAL, GIVEN = "cross_validation", "eval", "given"  # what chose the penalty

# The penalty is chosen on eval if it has as many images; on fewer, the noise of its loss decides.
ENOUGH_FOR_EVAL = 1000
FOLDS = 5
PENALTIES = (10.0, 1.0, 0.1, 0.01, 0.001, 0.0001)  # the strongest first
_STEP = 10**0.5  # beside the best of them, the penalties that are stronger and weaker by this factor are tried too
_GAIN = (
    0.01  # share by which a weaker penalty must lower the loss: where nothing is at stake, the stronger one is safer
)

_CHUNK = 4096  # rows
_ITERATIONS = 1000
_MEMORY = 20  # pairs that L-BFGS keeps
_GRADIENT = 1e-5  # largest component of the gradient at the optimum, in the scaled coordinates
_LOSS = 1e-9  # smallest relative change of the loss
_LEAST_VARIANCE = 1e-6  # of a principal component, as a share of the largest
_LEAST_DEVIATION = 1e-3  # of a feature, as a share of its mean: less is the rounding of float16
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
      penalty: strength of the L2 penalty, above 0; None to choose it.
      label_smoothing: share of each label that is spread over all classes, also where the loss is measured.
      seed: of the folds.
    """

    classes: int
    penalty: float | None = None
    label_smoothing: float = 0.0
    seed: int = 0

    def judge(self, eval_images: int) -> str:
        """What chooses the penalty, where eval has this many images."""
        if self.penalty is not None:
            return GIVEN
        return EVAL if eval_images >= ENOUGH_FOR_EVAL else CROSS_VALIDATION


@dataclass(frozen=True)
class Trial:
    """A penalty that was tried.

    Attributes:
      penalty: its value.
      loss: mean cross-entropy of the examples that it was fitted on, weighted; over all folds.
      val_loss: of those that it was not fitted on, unweighted.
      val_accuracy: share of them whose most probable class is the true one.
      iterations: of L-BFGS, over all folds.
      seconds: that the fits took.
    """

    penalty: float
    loss: float
    val_loss: float
    val_accuracy: float
    iterations: int
    seconds: float


@dataclass(frozen=True)
class Fitted:
    """A head: `features @ kernel + bias` are the logits.

    Attributes:
      kernel: float32 [features, classes], for features as they are: their standardisation is in it.
      bias: float32 [classes].
      penalty: the one that was used.
      chosen_by: `given`, `eval` or `cross_validation`.
      trials: those penalties that were tried, in this order.
      figures: `loss` and `accuracy` on the training examples, `val_loss` and `val_accuracy` on eval.
      iterations: of L-BFGS in the last fit.
      converged: whether the last fit reached its optimum.
    """

    kernel: np.ndarray
    bias: np.ndarray
    penalty: float
    chosen_by: str
    figures: dict[str, float]
    iterations: int
    converged: bool
    trials: list[Trial] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        """All but kernel and bias, for the history; JSON-serialisable."""
        own = ("penalty", "chosen_by", "iterations", "converged")
        return {name: getattr(self, name) for name in own} | {"trials": [asdict(trial) for trial in self.trials]}


# Threads that share small products wait for each other: on a busy machine, two were 30 times slower than one.
@threadpoolctl.threadpool_limits.wrap(limits=1, user_api="blas")
def fit(
    train: Examples, evaluation: Examples, options: Options, on_trial: Callable[[Trial], None] = lambda trial: None
) -> Fitted:
    """Fits a head on the training examples. The same arguments give the same head.

    With no penalty in the options, those of PENALTIES are tried, the strongest first, until one does not lower the loss
    by a hundredth; then one on each side of the best. It is the loss on eval if eval has ENOUGH_FOR_EVAL images, else
    that of cross-validation over the training examples; the head is then fitted on all of these.

    Args:
      train: examples to fit, of at least two classes.
      evaluation: examples with one view; at least one. They are never fitted.
      options: how.
      on_trial: called after each penalty that was tried.
    """
    problem = _Problem(train, options)
    answers = _Answers(evaluation, options)
    start, penalty = problem.zeros(), options.penalty
    trials: list[Trial] = []
    chosen_by = options.judge(len(evaluation.labels))
    if penalty is None:
        by_eval = chosen_by == EVAL
        judge = _OnEval(problem, answers) if by_eval else _CrossValidation(problem, options.seed)
        trials, penalty, start = _search(judge, on_trial)
    optimum = problem.fit(penalty, problem.weights, start)
    kernel, bias = problem.on_features(optimum.solution)
    loss, accuracy = problem.measured(optimum.solution)
    val_loss, val_accuracy = answers.measured(kernel, bias)
    figures = {"loss": loss, "accuracy": accuracy, "val_loss": val_loss, "val_accuracy": val_accuracy}
    return Fitted(kernel, bias, penalty, chosen_by, figures, optimum.iterations, optimum.converged, trials)


@dataclass(frozen=True)
class _Optimum:
    solution: np.ndarray  # [components + 1, classes], the bias last
    loss: float  # without the penalty
    iterations: int
    converged: bool


class _Problem:
    """The training examples in the coordinates in which they are fitted.

    Attributes:
      rows: float32 [images * views, components]: principal components of the standardised features.
      weights: float32 [images * views]; their sum is 1.
    """

    def __init__(self, train: Examples, options: Options):
        images, views, _ = train.features.shape
        self._options, self._views = options, views
        self._features = train.features.reshape(images * views, -1)
        self.labels = train.labels
        self._targets = _targets(np.repeat(train.labels, views), options)
        own = np.ones(images, np.float32) if train.weights is None else train.weights
        self.weights = np.repeat(own, views).astype(np.float32)
        self._mean, self._deviation = _moments(self._features)
        self._to_components, self._variances = self._principal_components()
        self.rows = np.empty((len(self._features), len(self._variances)), np.float32)
        for part in _chunks(len(self._features)):
            np.matmul(self._standardized(part), self._to_components, out=self.rows[part])

    def _standardized(self, part: slice) -> np.ndarray:
        return (self._features[part].astype(np.float32) - self._mean) / self._deviation

    def _principal_components(self) -> tuple[np.ndarray, np.ndarray]:
        """Directions, float32 [features, components], and the variance along each. All that the examples span."""
        count, width = self._features.shape
        if count < width:  # of as many rows as examples; their products tell all
            rows = self._standardized(slice(None))
            variances, left = scipy.linalg.eigh(rows.astype(np.float64) @ rows.T / count, overwrite_a=True)
            known = variances > _LEAST_VARIANCE * variances[-1]
            variances, left = variances[known], left[:, known]
            return (rows.T @ (left / np.sqrt(variances * count))).astype(np.float32), variances.astype(np.float32)
        covariance = np.zeros((width, width), np.float64)
        for part in _chunks(count):
            rows = self._standardized(part)
            covariance += rows.T @ rows
        variances, directions = scipy.linalg.eigh(covariance.astype(np.float32) / count, overwrite_a=True)
        return directions.astype(np.float32), np.maximum(variances, 0).astype(np.float32)

    def zeros(self) -> np.ndarray:
        return np.zeros((self.rows.shape[1] + 1, self._options.classes), np.float32)

    def fit(self, penalty: float, weights: np.ndarray, start: np.ndarray) -> _Optimum:
        """Fits some of the examples, those whose weight is above 0.

        Args:
          penalty: of the kernel.
          weights: [images * views], at least 0.
          start: a solution to begin with.
        """
        weights = weights / weights.sum(dtype=np.float64)
        curvature = np.append(self._variances / self._options.classes + penalty, 1 / self._options.classes)
        scale = (1 / np.sqrt(curvature)).astype(np.float32)[:, np.newaxis]
        last = [0.0]

        def objective(point: np.ndarray) -> tuple[float, np.ndarray]:
            interruption.check()
            solution = scale * point.reshape(start.shape).astype(np.float32)
            last[0], gradient = self._loss(solution, weights)
            gradient[:-1] += penalty * solution[:-1]
            value = last[0] + penalty / 2 * float(np.vdot(solution[:-1], solution[:-1]))
            return value, (scale * gradient).ravel().astype(np.float64)

        result = scipy.optimize.minimize(
            objective,
            (start / scale).ravel(),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": _ITERATIONS, "maxcor": _MEMORY, "gtol": _GRADIENT, "ftol": _LOSS},
        )
        solution = scale * result.x.reshape(start.shape).astype(np.float32)
        loss, _ = self._loss(solution, weights)
        # Status 2: no step lowers the loss by more than the rounding of float32, which is the optimum too.
        return _Optimum(solution, loss, int(result.nit), result.status in (0, 2))

    def _loss(self, solution: np.ndarray, weights: np.ndarray) -> tuple[float, np.ndarray]:
        """The weighted mean loss, and its gradient."""
        logs = scipy.special.log_softmax(self.logits(solution), axis=1)
        loss = -float(weights @ np.einsum("ij,ij->i", self._targets, logs, dtype=np.float64))
        errors = ((np.exp(logs) - self._targets) * weights[:, np.newaxis]).astype(np.float32)
        return loss, np.vstack([self.rows.T @ errors, errors.sum(axis=0)])

    def logits(self, solution: np.ndarray) -> np.ndarray:
        return self.rows @ solution[:-1] + solution[-1]

    def first_views(self, logits: np.ndarray) -> np.ndarray:
        """Those rows that are the images themselves."""
        return logits[:: self._views]

    def of_images(self, chosen: np.ndarray) -> np.ndarray:
        """[images] to [images * views]."""
        return np.repeat(chosen, self._views)

    def measured(self, solution: np.ndarray, images: np.ndarray | slice = slice(None)) -> tuple[float, float]:
        """Loss and accuracy on the images themselves, unweighted."""
        return _measured(self.first_views(self.logits(solution))[images], self.labels[images], self._options)

    def on_features(self, solution: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Kernel and bias for features as they are."""
        kernel = (self._to_components @ solution[:-1]) / self._deviation[:, np.newaxis]
        bias = solution[-1] - self._mean.astype(np.float64) @ kernel
        return kernel.astype(np.float32), bias.astype(np.float32)


class _Answers:
    """Measures heads on eval."""

    def __init__(self, evaluation: Examples, options: Options):
        self._evaluation, self._options = evaluation, options

    def measured(self, kernel: np.ndarray, bias: np.ndarray) -> tuple[float, float]:
        features = self._evaluation.features[:, 0]
        logits = np.concatenate([features[part].astype(np.float32) @ kernel + bias for part in _chunks(len(features))])
        return _measured(logits, self._evaluation.labels, self._options)


class _OnEval:
    """Judges a penalty by the loss on eval."""

    def __init__(self, problem: _Problem, answers: _Answers):
        self._problem, self._answers = problem, answers
        self.solution = problem.zeros()

    def __call__(self, penalty: float) -> Trial:
        began = time.monotonic()
        optimum = self._problem.fit(penalty, self._problem.weights, self.solution)
        self.solution = optimum.solution
        val_loss, val_accuracy = self._answers.measured(*self._problem.on_features(optimum.solution))
        return Trial(penalty, optimum.loss, val_loss, val_accuracy, optimum.iterations, time.monotonic() - began)


class _CrossValidation:
    """Judges a penalty by the loss on training images that were not fitted; each is once among them.

    Means and deviations, which know no labels, are those of all training examples.
    """

    def __init__(self, problem: _Problem, seed: int):
        self._problem = problem
        self._fold_of = _folds(problem.labels, seed)
        self._solutions = [problem.zeros() for _ in range(FOLDS)]

    @property
    def solution(self) -> np.ndarray:
        return np.mean(self._solutions, axis=0)

    def __call__(self, penalty: float) -> Trial:
        began, problem = time.monotonic(), self._problem
        sums, losses, iterations = np.zeros(2), [], 0
        for fold, start in enumerate(self._solutions):
            held_out = self._fold_of == fold
            weights = problem.weights * ~problem.of_images(held_out)
            optimum = problem.fit(penalty, weights, start)
            self._solutions[fold] = optimum.solution
            sums += np.array(problem.measured(optimum.solution, held_out)) * held_out.sum()
            losses.append(optimum.loss)
            iterations += optimum.iterations
        val_loss, val_accuracy = (sums / len(self._fold_of)).tolist()
        return Trial(penalty, float(np.mean(losses)), val_loss, val_accuracy, iterations, time.monotonic() - began)


def _search(
    judge: _OnEval | _CrossValidation, on_trial: Callable[[Trial], None]
) -> tuple[list[Trial], float, np.ndarray]:
    """Tries penalties, each from the solution of the one before; gives the trials, the best penalty, its solution."""
    trials: list[Trial] = []
    best: tuple[float, float, np.ndarray] = (np.inf, np.nan, judge.solution)

    def gains(penalty: float) -> bool:
        nonlocal best
        trial = judge(penalty)
        trials.append(trial)
        on_trial(trial)
        better = trial.val_loss < best[0] * (1 - _GAIN if penalty < best[1] else 1)
        if better or len(trials) == 1:
            best = (trial.val_loss, penalty, judge.solution)
        return better or len(trials) == 1

    for penalty in PENALTIES:
        if not gains(penalty):
            break
    middle = best[1]
    for penalty in (middle / _STEP, middle * _STEP):
        gains(float(f"{penalty:.3g}"))
    return trials, best[1], best[2]


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


def _measured(logits: np.ndarray, labels: np.ndarray, options: Options) -> tuple[float, float]:
    logs = np.maximum(scipy.special.log_softmax(logits.astype(np.float64), axis=1), np.log(_SMALLEST))
    losses = -np.einsum("ij,ij->i", _targets(labels, options), logs)
    return float(losses.mean()), float((logits.argmax(axis=1) == labels).mean())


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each feature, float32 [features]; a feature that does not vary has a deviation of 1."""
    count, width = features.shape
    mean, variance = np.zeros(width), np.zeros(width)
    for part in _chunks(count):
        mean += features[part].sum(axis=0, dtype=np.float64) / count
    for part in _chunks(count):
        variance += np.square(features[part] - mean).sum(axis=0) / count
    deviation = np.sqrt(variance)
    deviation[deviation <= np.maximum(_LEAST_DEVIATION * np.abs(mean), np.finfo(np.float32).tiny)] = np.inf
    return mean.astype(np.float32), deviation.astype(np.float32)


def _chunks(count: int) -> list[slice]:
    return [slice(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]
