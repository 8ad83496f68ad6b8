"""Temperature scaling, so that a probability of 90 % is right nine times out of ten.

Guo et al., "On Calibration of Modern Neural Networks", https://arxiv.org/abs/1706.04599: one number, fitted on images
that training did not see, divides the logits. The most probable class stays the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from scipy import optimize

_log = logging.getLogger("regraft.trainer")

# A few images say little: the temperature's logarithm has a normal prior around 0 with this deviation. From about 100
# images on it no longer matters.
_PRIOR_DEVIATION = 0.5
_BOUNDS = (-2.0, 2.0)  # of the temperature's logarithm


def of(classifier: keras.Model, evaluation: tf.data.Dataset) -> float:
    """The temperature with which a classifier's probabilities fit a split, above 0.

    Args:
      classifier: inputs, float32 [batch, …], preprocessed images or what a trunk made of them, to probabilities
        [batch, classes].
      evaluation: batches of such inputs of eval, and their labels, float32 [batch, classes].
    """
    temperature = fitted(*answers(lambda images: classifier(images, training=False), evaluation))
    _log.info("  the logits are divided by %.3g, so that probabilities fit those of eval", temperature)
    return temperature


def scaled(classifier: keras.Model, temperature: float) -> keras.Model:
    """A classifier whose logits are divided, where they are only known from its probabilities: those of an average.

    If a head computes the logits, modules.classifier.divided is better: it adds no operation, and an 8-bit export knows
    the probabilities, of which this takes the logarithm, only in steps of 1/256.

    Args:
      classifier: preprocessed images to probabilities [batch, classes].
      temperature: what divides the logits, above 0.

    Returns:
      a functional model with the same input and output.
    """
    logits = keras.ops.log(keras.ops.maximum(classifier.output, keras.config.epsilon())) / temperature
    return keras.Model(classifier.input, keras.ops.softmax(logits), name=classifier.name)


def answers(classify: Callable[[tf.Tensor], tf.Tensor], evaluation: tf.data.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """What a model answers, and the labels of all images, float64 [images, classes] each.

    Args:
      classify: inputs of a batch to its answers, [batch, classes].
      evaluation: batches of inputs, and their labels.
    """
    run = tf.function(classify, autograph=False, reduce_retracing=True)
    batches = [(run(inputs).numpy(), labels.numpy()) for inputs, labels in evaluation]
    answered, labels = (np.concatenate(part).astype(np.float64) for part in zip(*batches, strict=True))
    return answered, labels


def log_losses(probabilities: np.ndarray, labels: np.ndarray, temperature: float) -> np.ndarray:
    """The cross-entropy of each image, [images], with a temperature; 1 changes nothing.

    Args:
      probabilities: [images, classes].
      labels: [images, classes], 1 for the true class.
      temperature: what divides the logits.
    """
    logits = np.log(np.maximum(probabilities, keras.config.epsilon())) / temperature
    normalizer: np.ndarray = np.logaddexp.reduce(logits, axis=1)
    return normalizer - (labels * logits).sum(axis=1)


def fitted(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The temperature with the lowest cross-entropy, given the prior.

    Args:
      probabilities: [images, classes].
      labels: [images, classes], 1 for the true class.
    """

    def loss(logarithm: float) -> float:
        cross_entropy = log_losses(probabilities, labels, np.exp(logarithm)).sum()
        return float(cross_entropy + logarithm**2 / (2 * _PRIOR_DEVIATION**2))

    return float(np.exp(optimize.minimize_scalar(loss, bounds=_BOUNDS, method="bounded").x))
