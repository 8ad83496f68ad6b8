"""The optimum of a logistic regression, by L-BFGS in coordinates in which it takes few steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.optimize
import scipy.special

from config import interruption

_CHUNK = 4096  # rows
_ITERATIONS = 1000
_MEMORY = 20  # pairs that L-BFGS keeps
_GRADIENT = 1e-5  # largest component of the gradient at the optimum, in the coordinates of the fit
_JITTER = 1e-9  # added to the diagonal of the Gram matrix, as a share of its mean


@dataclass(frozen=True)
class Optimum:
    """Where a fit ended."""

    solution: np.ndarray  # [coordinates + 1, classes], the bias last
    loss: float  # without the penalty
    iterations: int
    converged: bool


class Coordinates:
    """The coordinates in which the examples are fitted: the features, or as many as there are examples.

    With fewer examples than features, the kernel is a sum of examples, and the rows of the Cholesky factor of their
    Gram matrix have the products, and so the fits and norms, that the examples have.
    """

    def __init__(self, examples: np.ndarray, targets: np.ndarray, mean: np.ndarray, scale: np.ndarray):
        """Factorises what all fits share.

        Args:
          examples: float32 [examples, features]: centred and scaled; the last ones of the features, if not all.
          targets: float32 [examples, classes].
          mean: float32 [all features].
          scale: float32 [all features].
        """
        count, width = examples.shape
        self._targets, self._mean, self._scale = targets, mean, scale
        self._rows, self._examples, self._factor = examples, examples, None
        if count < width:
            gram = _products(examples.T)
            gram.flat[:: count + 1] += _JITTER * gram.trace() / count + np.finfo(np.float32).tiny
            self._factor = scipy.linalg.cholesky(gram, lower=True, overwrite_a=True)
            self._rows = self._factor.astype(np.float32)
        self._moment = _products(self._rows) / count

    def fit(self, penalty: float, weights: np.ndarray, start: np.ndarray | None, least_change: float) -> Optimum:
        """Fits some of the examples, those whose weight is above 0.

        Args:
          penalty: of the kernel.
          weights: [examples], at least 0.
          start: a solution to begin with; None for zeros.
          least_change: of the loss; at a smaller one the fit ends.
        """
        weights = weights / weights.sum(dtype=np.float64)
        classes, width = self._targets.shape[1], len(self._moment)
        curvature = self._moment / classes
        curvature.flat[:: width + 1] += penalty
        root = scipy.linalg.cholesky(curvature, lower=True, overwrite_a=True).astype(np.float32)
        shape, bias_scale = (width + 1, classes), np.float32(np.sqrt(classes))

        def solution_at(point: np.ndarray) -> np.ndarray:
            point = point.reshape(shape).astype(np.float32)
            kernel = scipy.linalg.solve_triangular(root, point[:-1], lower=True, trans="T", check_finite=False)
            return np.vstack([kernel, bias_scale * point[-1:]])

        def objective(point: np.ndarray) -> tuple[float, np.ndarray]:
            interruption.check()
            solution = solution_at(point)
            loss, gradient = self._loss(solution, weights)
            gradient[:-1] += penalty * solution[:-1]
            inner = scipy.linalg.solve_triangular(root, gradient[:-1], lower=True, check_finite=False)
            value = loss + penalty / 2 * float(np.vdot(solution[:-1], solution[:-1]))
            return value, np.vstack([inner, bias_scale * gradient[-1:]]).ravel().astype(np.float64)

        first = np.zeros(shape) if start is None else np.vstack([root.T @ start[:-1], start[-1:] / bias_scale])
        options = {"maxiter": _ITERATIONS, "maxcor": _MEMORY, "gtol": _GRADIENT, "ftol": least_change}
        result = scipy.optimize.minimize(objective, first.ravel(), jac=True, method="L-BFGS-B", options=options)
        solution = solution_at(result.x)
        loss, _ = self._loss(solution, weights)
        # Status 2: no step lowers the loss by more than the rounding of float32, which is the optimum too.
        return Optimum(solution, loss, int(result.nit), result.status in (0, 2))

    def _loss(self, solution: np.ndarray, weights: np.ndarray) -> tuple[float, np.ndarray]:
        """The weighted mean loss, and its gradient."""
        logs = scipy.special.log_softmax(self.logits(solution), axis=1)
        loss = -float(weights @ np.einsum("ij,ij->i", self._targets, logs, dtype=np.float64))
        errors = ((np.exp(logs) - self._targets) * weights[:, np.newaxis]).astype(np.float32)
        return loss, np.vstack([self._rows.T @ errors, errors.sum(axis=0)])

    def logits(self, solution: np.ndarray) -> np.ndarray:
        """float32 [examples, classes]."""
        return self._rows @ solution[:-1] + solution[-1]

    def on_features(self, solution: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Kernel and bias for all features as they are."""
        inner = solution[:-1].astype(np.float64)
        if self._factor is not None:
            inner = self._examples.T @ scipy.linalg.solve_triangular(self._factor, inner, lower=True, trans="T")
        kernel = np.zeros((len(self._scale), inner.shape[1]))
        kernel[-len(inner) :] = inner
        kernel *= self._scale[:, np.newaxis]
        return kernel.astype(np.float32), (solution[-1] - self._mean.astype(np.float64) @ kernel).astype(np.float32)


def moments(features: np.ndarray, blocks: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Mean of each feature, and 1 by the root of its block's mean variance (0 if it has none); float32 [features]."""
    count, width = features.shape
    mean, variance = np.zeros(width), np.zeros(width)
    for part in chunks(count):
        mean += features[part].sum(axis=0, dtype=np.float64) / count
    for part in chunks(count):
        variance += np.square(features[part] - mean).sum(axis=0) / count
    sizes = [np.sqrt(block.mean()) for block in np.split(variance, np.cumsum(blocks)[:-1])]
    scale = [1 / size if size > np.finfo(np.float32).tiny else 0.0 for size in sizes]
    return mean.astype(np.float32), np.repeat(scale, blocks).astype(np.float32)


def _products(rows: np.ndarray) -> np.ndarray:
    """Each column times each, float64 [columns, columns]: in float32, the small eigenvalues would be rounding."""
    products = np.zeros((rows.shape[1], rows.shape[1]))
    for part in chunks(len(rows)):
        exact = rows[part].astype(np.float64)
        products += exact.T @ exact
    return products


def chunks(count: int) -> list[slice]:
    """Slices that together are all rows, few enough at a time for memory."""
    return [slice(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]
