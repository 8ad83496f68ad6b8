"""How far an image's features are from those of the training images: the relative Mahalanobis distance.

It is the squared Mahalanobis distance to the nearest class minus that to all training images as one class (Ren et al.,
https://arxiv.org/abs/2106.09022). So what makes images differ that has nothing to do with the classes counts little. It
is negative for an image that one class explains better than all of them together.

Lee et al., https://arxiv.org/abs/1807.03888: each class has a mean, and all share one covariance. Here the features are
divided by their length first (Müller & Hein, https://arxiv.org/abs/2505.18032). They are projected onto the principal
components of the training images; what is left of them counts with its mean variance. The covariance is shrunk towards
a multiple of the identity, as Ledoit and Wolf do (https://doi.org/10.1016/S0047-259X(03)00096-4), because there may be
fewer images than features. docs/benchmarks.md compares it with other scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.spatial.distance

MOST_BYTES = 5 * 10**6  # of the served arrays
_MOST_COMPONENTS = 256
_EXTRA = 16  # random directions, and passes over the data, with which the components are found; see `_components`
_PASSES = 4
_SHRINKAGE = 0.5  # of the covariance, towards the mean variance; docs/benchmarks.md compares others
# Of a feature, relative to its size: kept activations are float16, those of the served model are not.
_ROUNDING = 2.0**-11
_FOLDS = 5
_SMALLEST = 1e-12


@dataclass(frozen=True)
class Distance:
    """The arrays that a distance is computed from.

    Attributes:
      centre: float32 [features], the mean of the training images' unit features.
      components: float32 [features, components], orthonormal columns.
      whitening: float32 [components, components]; the product has the identity as covariance within classes.
      means: float32 [classes, components], of the whitened classes.
      overall: float32 [components, components]; the product has the identity as covariance of all images.
      rest: the weight of the squared length of what is no component.
    """

    centre: np.ndarray
    components: np.ndarray
    whitening: np.ndarray
    means: np.ndarray
    overall: np.ndarray
    rest: float

    def of(self, features: np.ndarray) -> np.ndarray:
        """The distances of images, float64 [images], of either sign; divided by the number of features.

        Args:
          features: float32 [images, features].
        """
        centred = unit(features) - self.centre
        projected = centred @ self.components
        left = np.maximum((centred**2).sum(axis=1) - (projected**2).sum(axis=1), 0) * self.rest
        nearest = scipy.spatial.distance.cdist(projected @ self.whitening, self.means, "sqeuclidean").min(axis=1)
        from_all = ((projected @ self.overall) ** 2).sum(axis=1)
        return ((left + nearest - from_all) / len(self.centre)).astype(np.float64)


def unit(features: np.ndarray) -> np.ndarray:
    """Features divided by their length, [images, features]; zeros stay zeros."""
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), _SMALLEST)


def fit(features: np.ndarray, labels: np.ndarray, seed: int) -> Distance:
    """Fits the distance to training images.

    Args:
      features: float32 [images, features]; two images or more.
      labels: int64 [images], indices of the classes; classes without images have no mean.
      seed: of the search for the components.
    """
    values = unit(features).astype(np.float32)
    centre = values.mean(axis=0)
    centred = values - centre
    classes, index = np.unique(labels, return_inverse=True)
    components = _components(centred, _count(centred.shape, len(classes)), seed)
    projected = centred @ components
    sums = np.zeros((len(classes), components.shape[1]))
    np.add.at(sums, index, projected)
    means = sums / np.bincount(index)[:, np.newaxis]
    left = np.maximum((centred**2).sum(axis=1) - (projected**2).sum(axis=1), 0)
    whitening, rest = _whitening(projected - means[index], left, centred.shape[1])
    overall, overall_rest = _whitening(projected, left, centred.shape[1])
    rest = 1 / rest - 1 / overall_rest
    return Distance(centre, components, whitening, (means @ whitening).astype(np.float32), overall, rest)


def held_out(features: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
    """The distance of each training image from a fit to the other folds, float64 [images].

    Args:
      features: float32 [images, features].
      labels: int64 [images].
      seed: of the folds.
    """
    fold = np.random.default_rng(seed).permutation(len(features)) % _FOLDS
    found = np.empty(len(features))
    for number in range(_FOLDS):
        out = fold == number
        if out.any():
            found[out] = fit(features[~out], labels[~out], seed).of(features[out])
    return found


def _count(shape: tuple[int, ...], classes: int) -> int:
    """How many components fit into the images, and into MOST_BYTES."""
    images, features = shape
    count = min(_MOST_COMPONENTS, images - 1, features)
    while count > 1 and 4 * (features * (count + 1) + count * (2 * count + classes)) > MOST_BYTES:
        count -= 1
    return max(count, 1)


def _components(centred: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The first principal components, float32 [features, components], by the randomised algorithm of Halko et al.

    Source: https://arxiv.org/abs/0909.4061, algorithm 4.4.
    """
    directions = min(count + _EXTRA, min(centred.shape))
    found = np.random.default_rng(seed).standard_normal((centred.shape[1], directions), np.float32)
    for _ in range(_PASSES):
        found = np.linalg.qr(centred.T @ (centred @ found))[0]
    _, _, axes = np.linalg.svd(centred @ found, full_matrices=False)
    return np.ascontiguousarray((found @ axes.T)[:, :count], np.float32)


def _whitening(projected: np.ndarray, left: np.ndarray, features: int) -> tuple[np.ndarray, float]:
    """What makes the covariance of the components the identity, and the variance of each other direction; both shrunk.

    Args:
      projected: [images, components], minus a mean.
      left: [images], squared lengths of what is left of the images beside the components.
      features: directions in all.

    Returns:
      float32 [components, components], and a number above 0.
    """
    images, components = projected.shape
    covariance, rest = projected.T @ projected / images, float(left.mean()) / max(features - components, 1)
    target = _SHRINKAGE * (np.trace(covariance) + float(left.mean())) / features + _ROUNDING**2 / features
    shrunk = (1 - _SHRINKAGE) * covariance + target * np.eye(components)
    variances, axes = np.linalg.eigh(shrunk)
    whitening = (axes / np.sqrt(np.maximum(variances, _SMALLEST))).astype(np.float32)
    return whitening, max((1 - _SHRINKAGE) * rest + target, _SMALLEST)
