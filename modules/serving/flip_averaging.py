"""The mean of a classifier's probabilities for an image and its mirror image."""

from __future__ import annotations

import logging
from collections.abc import Callable

import keras
import tensorflow as tf

from config.training import AUTO

_log = logging.getLogger("regraft.trainer")

_SMALLEST_GAIN = 0.01  # of the loss on eval, for twice the time of every answer


def chosen(classifier: keras.Model, setting: bool | str, evaluation: Callable[[], tf.data.Dataset]) -> keras.Model:
    """The classifier, or the average over mirror images.

    Args:
      classifier: preprocessed images, float32 [batch, height, width, 3], to probabilities [batch, classes].
      setting: `training.flip_averaging` of a configuration.
      evaluation: makes batches of such images of eval, and their labels, float32 [batch, classes]; called for `auto`
        alone, because TensorFlow takes seconds to prepare the decoding of images.

    Returns:
      a functional model with the same input and output as the classifier.
    """
    if setting is False:
        return classifier
    averaged = _averaged(classifier)
    if setting != AUTO:
        return averaged
    plain, flipped = _losses(classifier, averaged, evaluation())
    pays = flipped <= (1 - _SMALLEST_GAIN) * plain
    _log.info(
        "  averaging over mirror images takes the loss on eval from %.4g to %.4g: the served model %s it",
        *(plain, flipped, "does" if pays else "does not do"),
    )
    return averaged if pays else classifier


def _averaged(classifier: keras.Model) -> keras.Model:
    images = classifier.input
    # The image itself goes through the layers of `classifier`, so that its features are a tensor of the new model too.
    mean = (classifier.output + classifier(keras.ops.flip(images, axis=2))) / 2
    return keras.Model(images, mean, name=classifier.name)


def _losses(plain: keras.Model, averaged: keras.Model, evaluation: tf.data.Dataset) -> list[float]:
    both = keras.Model(plain.input, [plain.output, averaged(plain.input)])
    run = tf.function(lambda images: both(images, training=False), autograph=False, reduce_retracing=True)
    means = [keras.metrics.CategoricalCrossentropy() for _ in range(2)]
    for images, labels in evaluation:
        for mean, answer in zip(means, run(images), strict=True):
            mean.update_state(labels, answer)
    return [float(mean.result()) for mean in means]
