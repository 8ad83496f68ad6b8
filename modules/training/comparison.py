"""Whether a model is worse on eval than it was, beyond chance."""

from __future__ import annotations

import math

import keras
import numpy as np
import tensorflow as tf

from modules.serving import temperature


def image_losses(model: keras.Model, evaluation: tf.data.Dataset, loss: keras.losses.Loss) -> np.ndarray:
    """The loss of each image, float64 [images], in the order of `evaluation`.

    Args:
      model: inputs of a batch to what the loss takes.
      evaluation: batches of inputs, and their labels, without weights.
      loss: as the model is compiled with it.
    """
    outputs, labels = temperature.answers(lambda inputs: model(inputs, training=False), evaluation)
    return keras.ops.convert_to_numpy(loss.call(tf.constant(labels), tf.constant(outputs)))


def is_worse(after: np.ndarray, before: np.ndarray) -> bool:
    """Whether the mean loss is higher by more than the standard error of the images' differences.

    A few images decide little: on 20 images, a training that gains 4 points on 2,000 others can look harmful. The
    one-standard-error rule is that of Breiman et al., Classification and Regression Trees, 1984, section 3.4.3. A loss
    that is not finite is worse.

    Args:
      after: loss of each image, [images].
      before: the same images' losses in the same order.
    """
    if not np.isfinite(after).all():
        return True
    rise, error = mean_and_error(after - before)
    return rise > error


def mean_and_error(differences: np.ndarray) -> tuple[float, float]:
    """The mean of the images' differences, and its standard error, which is infinite for one image.

    Args:
      differences: [images].
    """
    count = len(differences)
    error = float(np.std(differences, ddof=1) / math.sqrt(count)) if count > 1 else math.inf
    return float(np.mean(differences)), error
