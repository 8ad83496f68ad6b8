"""The classifier: a backbone with a head grafted on, and which of its layers train in which phase."""

from __future__ import annotations

import keras
from keras import layers


def classifier(backbone: keras.Model, head: keras.Model) -> keras.Model:
    """Joins a backbone and a head.

    Args:
      backbone: float32 [batch, image_size, image_size, 3] to [batch, height, width, channels].
      head: float32 [batch, height, width, channels] to probabilities [batch, classes].

    Returns:
      a functional model from preprocessed images to probabilities.
    """
    return keras.Model(backbone.input, head(backbone(backbone.input)), name="classifier")


def freeze(backbone: keras.Model) -> None:
    """Phase 1: nothing of the backbone trains, and its BatchNorm runs on its stored statistics."""
    backbone.trainable = False


def unfreeze_top(backbone: keras.Model, count: int) -> list[str]:
    """Phase 2: the backbone's last `count` layers train, except BatchNorm.

    BatchNorm stays frozen, which in Keras also means inference mode: its moving averages were learned from a million
    images and would be overwritten by a few batches of ours
    (https://keras.io/guides/transfer_learning/#finetuning). Recompile the model afterwards.

    Args:
      backbone: the backbone inside the classifier.
      count: how many layers, from the output backwards, as `backbone.layers` counts them; a number beyond the
        backbone's layers means all of them.

    Returns:
      the names of the layers that now have trainable weights, from the input on.
    """
    backbone.trainable = True
    first = max(len(backbone.layers) - count, 0)
    for index, layer in enumerate(backbone.layers):
        layer.trainable = index >= first and not isinstance(layer, layers.BatchNormalization)
    return [layer.name for layer in backbone.layers if layer.trainable_weights]
