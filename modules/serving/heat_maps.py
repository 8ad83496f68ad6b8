"""Where a classifier looked: a heat map of the places that speak for its answer.

The method is close to LayerCAM (Jiang et al., https://doi.org/10.1109/TIP.2021.3089943), a Grad-CAM that keeps the
gradient of each place. At a feature map A, of whose values g are the gradients, the heat of a place is the sum of
max(0, g * (A - mean of A over the places)) over its channels: what the answer would lose if the place looked like the
rest of the image. The gradients are those of the contrast: the logit of the answer minus the logsumexp of the others.

The feature map is the first one that is as small as the last. In the last one, every place of a fine-tuned network
knows of the whole image; docs/serving.md has what was measured.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

import keras
import tensorflow as tf

from modules import heads
from modules.backbones import blocks
from modules.classifier import Classifier

_log = logging.getLogger("regraft.trainer")

HeatMaps = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

_LOGIT_OF_NONE = -1e9  # takes a class out of a logsumexp


def of(built: Classifier, mirrored: bool, factor: float = 1.0) -> HeatMaps | None:
    """A function that makes heat maps.

    Args:
      built: the classifier, in float32.
      mirrored: whether what is served averages the answers to an image and its mirror image.
      factor: what gives the logits as they were trained, if those of `built` are divided by a temperature.

    Returns:
      a function for a graph: preprocessed images, float32 [batch, height, width, 3], and the indices of the classes to
      explain, int64 [batch], to heat maps, float32 [batch, rows, columns] in [0, 1], of which the hottest place is 1;
      all 0 if nothing speaks for the class. None, with a line in the log, if the classifier has no feature map, or
      TensorFlow cannot differentiate what is behind it.
    """
    feature_map = _feature_map(built.backbone)
    if feature_map is None:
        _log.info("  the served model draws no heat maps: the backbone has no feature map")
        return None
    taps = keras.Model(built.backbone.input, [feature_map, built.backbone.output])

    def heat_maps(images: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
        if mirrored:  # one batch of both, because a second copy of the graph would take time to load
            images = tf.concat([images, tf.reverse(images, [2])], axis=0)
            indices = tf.tile(indices, [2])
        activations, features = taps(images, training=False)
        contrast = _contrast(factor * heads.logits(built.head, features), indices)
        (gradients,) = tf.gradients(contrast, [activations])  # of each image alone: no image depends on another
        if gradients is None:
            raise LookupError("the answer has no gradient at the feature map")
        unusual = activations - tf.reduce_mean(activations, axis=[1, 2], keepdims=True)
        heat = tf.reduce_sum(tf.nn.relu(gradients * unusual), axis=-1)
        if mirrored:
            own, turned = tf.split(heat, 2)
            heat = own + tf.reverse(turned, [2])
        return tf.math.divide_no_nan(heat, tf.reduce_max(heat, axis=[1, 2], keepdims=True))

    specs = [tf.TensorSpec(built.model.input.shape, tf.float32), tf.TensorSpec([None], tf.int64)]
    traced = tf.function(heat_maps, input_signature=specs, autograph=False)
    try:
        traced.get_concrete_function()
    except LookupError as error:  # layers of the user's own may have no gradient
        _log.info("  the served model draws no heat maps: %s", error)
        return None
    return traced


def _feature_map(backbone: keras.Model) -> keras.KerasTensor | None:
    maps = blocks.maps(backbone)
    if not maps or math.prod(maps[-1].shape[1:3]) == 1:
        return None
    return next(one for one in maps if one.shape[1:3] == maps[-1].shape[1:3])


def _contrast(logits: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
    answer = tf.one_hot(indices, tf.shape(logits)[-1])
    others = tf.reduce_logsumexp(logits + answer * _LOGIT_OF_NONE, axis=-1)
    return tf.reduce_sum(logits * answer, axis=-1) - others
