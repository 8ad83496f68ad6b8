"""The classifier: a backbone with a head on top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras
from keras import layers, ops

from config.classifier import ClassifierConfig
from modules import heads
from modules.backbones import blocks, builders

_IN_INFERENCE_MODE = "inference_mode"  # the layer that holds the backbone


class InferenceMode(layers.Layer):
    """Runs a model in inference mode, also while the model that contains it is trained.

    `backbone(x, training=False)` in a functional graph is not enough: when the graph runs, Keras replaces that argument
    by its own `training` (keras/src/models/functional.py, operation_fn).
    """

    def __init__(self, model: keras.Model):
        super().__init__(name=_IN_INFERENCE_MODE)
        self.model = model

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return self.model(x, training=False)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return self.model.compute_output_shape(input_shape)


@dataclass(frozen=True)
class Classifier:
    """A classifier and its parts.

    Attributes:
      model: preprocessed images, float32 [batch, image_size, image_size, 3], to the head's output.
      backbone: the part of it whose layers are frozen and unfrozen; with the pooling of its blocks, if the head takes
        that.
      head: the part of it that is new.
    """

    model: keras.Model
    backbone: keras.Model
    head: keras.Model


def build(config: ClassifierConfig, classes: Sequence[str]) -> Classifier:
    """Builds the classifier that a configuration describes.

    Args:
      config: its sections `backbone` and `head`, and the seed.
      classes: class names by index.

    Raises:
      BadInputError: if the backbone or the head cannot be built; names the field that is at fault.
    """
    return on_backbone(blocks.pooled(builders.load(config.backbone), config.head.pooled_blocks), config, classes)


def on_backbone(backbone: keras.Model, config: ClassifierConfig, classes: Sequence[str]) -> Classifier:
    """Builds the classifier on a backbone that there is already; see `build`."""
    head = heads.build(config.head, tuple(backbone.output.shape[1:]), len(classes), config.training.seed)
    return Classifier(join(backbone, head), backbone, head)


def join(backbone: keras.Model, head: keras.Model) -> keras.Model:
    """Joins a backbone and a head.

    The backbone always runs in inference mode, whichever layers train: its BatchNorm uses stored statistics, its
    dropout and stochastic depth are off (https://keras.io/guides/transfer_learning/).

    Args:
      backbone: float32 [batch, image_size, image_size, 3] to the features that `head` takes.
      head: features to what its output says.

    Returns:
      a functional model from preprocessed images to the head's output.
    """
    return keras.Model(backbone.input, head(InferenceMode(backbone)(backbone.input)), name="classifier")


def divided(built: Classifier, divisor: float) -> Classifier:
    """The classifier with divided logits; it shares all layers but the last one with `built`, which stays as it is.

    Args:
      built: as `build` makes it.
      divisor: above 0.
    """
    head = heads.divided(built.head, divisor)
    features = built.model.get_layer(_IN_INFERENCE_MODE).output
    return Classifier(keras.Model(built.model.input, head(features), name=built.model.name), built.backbone, head)


def probabilities(answer: keras.KerasTensor, output: str) -> keras.KerasTensor:
    """A head's output as probabilities of all classes, float32 [batch, classes]."""
    if output == "logits":
        return ops.softmax(answer)
    if output == "sigmoid":
        return ops.concatenate([1.0 - answer, answer], axis=-1)
    return answer
