"""Losses, metrics and labels that agree with the head's output.

Labels are float32 throughout: [batch, classes] with the class's column 1, or [batch, 1] with the probability of class 1
for a sigmoid output, so that smoothing and mixing labels mean the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from config.errors import BadInputError
from config.training import AUTO, LossConfig

BALANCED = "balanced"
_IMBALANCE = 5  # times as many images in the largest class as in the smallest


class LossError(BadInputError):
    """The loss does not fit the classes."""


def make_loss(output: str, loss: LossConfig) -> keras.losses.Loss:
    """The cross-entropy that fits a head's output.

    Args:
      output: `head.output` of a configuration: `softmax`, `sigmoid` or `logits`.
      loss: the section `training.loss`. With `focal_gamma` it is the focal loss of Lin et al.
        (https://arxiv.org/abs/1708.02002), which gives less weight to examples that are right already.
    """
    label_smoothing, focal_gamma = loss.label_smoothing, loss.focal_gamma
    if output == "sigmoid":
        if focal_gamma is not None:
            return keras.losses.BinaryFocalCrossentropy(gamma=focal_gamma, label_smoothing=label_smoothing)
        return keras.losses.BinaryCrossentropy(label_smoothing=label_smoothing)
    from_logits = output == "logits"
    if focal_gamma is not None:
        # alpha weighs positives against negatives; among classes that is what class weights are for.
        return keras.losses.CategoricalFocalCrossentropy(
            alpha=1.0, gamma=focal_gamma, from_logits=from_logits, label_smoothing=label_smoothing
        )
    return keras.losses.CategoricalCrossentropy(from_logits=from_logits, label_smoothing=label_smoothing)


def accuracy(output: str) -> keras.metrics.Metric:
    """The share of examples whose most probable class is the true one."""
    if output == "sigmoid":
        return keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.5)
    return keras.metrics.CategoricalAccuracy(name="accuracy")


def compiled_with(output: str, loss: LossConfig) -> Callable[[], dict[str, Any]]:
    """Makes the loss and the metric of a model, as `compile` takes them, anew in each call.

    Args:
      output: `head.output` of a configuration.
      loss: the section `training.loss`.
    """
    return lambda: {"loss": make_loss(output, loss), "metrics": [accuracy(output)]}


def encode_labels(index: tf.Tensor, classes: int, output: str) -> tf.Tensor:
    """int64 [batch] class indices to the labels that the loss takes."""
    if output == "sigmoid":
        return tf.cast(index, tf.float32)[:, tf.newaxis]
    return tf.one_hot(index, classes)


@dataclass(frozen=True)
class Labels:
    """How the index of a class becomes the target of the loss.

    Attributes:
      classes: how many there are.
      output: the head's.
      weights: of the examples of each class, by index; None for no weights.
      by_example: whether examples have weights of their own, too.
    """

    classes: int
    output: str
    weights: Sequence[float] | None = None
    by_example: bool = False

    def encode(self, index: tf.Tensor, own_weight: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """The target and, with weights, the examples' weights.

        Args:
          index: int64 [batch].
          own_weight: float32 [batch], the examples' own.

        Returns:
          float32 targets, see `encode_labels`, and perhaps float32 weights [batch].
        """
        target = encode_labels(index, self.classes, self.output)
        of_class = None if self.weights is None else tf.gather(tf.constant(self.weights, tf.float32), index)
        if self.by_example:
            return target, own_weight if of_class is None else own_weight * of_class
        return (target,) if of_class is None else (target, of_class)

    def unweighted(self) -> Labels:
        """The same without weights: for evaluation."""
        return Labels(self.classes, self.output)


def class_weights(
    setting: str | Mapping[str, float] | None, classes: Sequence[str], counts: Sequence[int]
) -> list[float] | None:
    """The weight of each class's examples in the loss.

    Args:
      setting: `balanced` (inverse to the class's share, 1 on average over the examples), `auto` (`balanced` if a class
        has under a fifth of the largest one's examples), a weight by class name (1 for those not named), or None for no
        weights.
      classes: class names by index.
      counts: training examples by index.

    Raises:
      LossError: if a weight is given for a class that does not exist.
    """
    if setting is None or (setting == AUTO and max(counts) <= _IMBALANCE * min(counts)):
        return None
    if setting in (AUTO, BALANCED):
        total = sum(counts)
        return [total / (len(classes) * count) for count in counts]
    given: Mapping[str, Any] = setting  # type: ignore[assignment]
    unknown = sorted(set(given) - set(classes))
    if unknown:
        raise LossError(f"training.loss.class_weights: the classes are {', '.join(classes)}. Received: {unknown}")
    return [float(given.get(name, 1.0)) for name in classes]
