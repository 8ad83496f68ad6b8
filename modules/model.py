"""The classifier: a backbone with a head grafted on, and which of its layers train in which phase."""

from __future__ import annotations

import keras
from keras import layers, ops

from modules.errors import BadInputError


class UnfreezeError(BadInputError):
    """`training.fine_tune.layers` names no layers of this backbone."""


class InferenceMode(layers.Layer):
    """Runs a model in inference mode, also while what it is part of is trained.

    `backbone(x, training=False)` in a functional graph would not do: when the graph is run, Keras puts its own
    `training` in that one's place (keras/src/models/functional.py, operation_fn).
    """

    def __init__(self, model: keras.Model):
        super().__init__(name="inference_mode")
        self.model = model

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return self.model(x, training=False)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return self.model.compute_output_shape(input_shape)


def classifier(backbone: keras.Model, head: keras.Model) -> keras.Model:
    """Joins a backbone and a head.

    The backbone always runs in inference mode, whatever trains: its BatchNorm on stored statistics, its dropout and
    stochastic depth off (https://keras.io/guides/transfer_learning/).

    Args:
      backbone: float32 [batch, image_size, image_size, 3] to the features that `head` takes.
      head: features to what its output says.

    Returns:
      a functional model from preprocessed images to the head's output.
    """
    return keras.Model(backbone.input, head(InferenceMode(backbone)(backbone.input)), name="classifier")


def probabilities(answer: keras.KerasTensor, output: str) -> keras.KerasTensor:
    """A head's output as probabilities of all classes, float32 [batch, classes]."""
    if output == "logits":
        return ops.softmax(answer)
    if output == "sigmoid":
        return ops.concatenate([1.0 - answer, answer], axis=-1)
    return answer


def freeze(backbone: keras.Model) -> None:
    """Phase 1: nothing of the backbone trains."""
    backbone.trainable = False


def unfreeze_top(backbone: keras.Model, which: int | float | str) -> list[str]:
    """Phase 2: the backbone's top layers train, except BatchNorm. Recompile the model afterwards.

    BatchNorm stays frozen: its moving averages were learned from a million images and would be overwritten by a few
    batches of ours, and its scale goes with them.

    Args:
      backbone: the backbone inside the classifier.
      which: how many layers from the output backwards, as `backbone.layers` counts them (a number beyond them means
        all); a fraction of them, above 0 and below 1; the name of the lowest layer to train; or `all`.

    Returns:
      the names of the layers that now have trainable weights, from the input on.

    Raises:
      UnfreezeError: if the backbone has no layer of this name, or nothing trainable is among these layers.
    """
    first = _first_index(backbone, which)
    backbone.trainable = True
    for index, layer in enumerate(backbone.layers):
        layer.trainable = index >= first and not isinstance(layer, layers.BatchNormalization)
    names = [layer.name for layer in backbone.layers if layer.trainable_weights]
    if not names:
        raise UnfreezeError(
            f"training.fine_tune.layers: {which!r} unfreezes nothing of {backbone.name} that has weights to train; its "
            f"last layers are {', '.join(layer.name for layer in backbone.layers[-8:])}"
        )
    return names


def _first_index(backbone: keras.Model, which: int | float | str) -> int:
    count = len(backbone.layers)
    if which == "all":
        return 0
    if isinstance(which, str):
        names = [layer.name for layer in backbone.layers]
        if which not in names:
            raise UnfreezeError(
                f"training.fine_tune.layers: {backbone.name} has no layer {which!r}; its last ones are "
                f"{', '.join(names[-8:])}"
            )
        return names.index(which)
    wanted = max(1, round(count * which)) if isinstance(which, float) else which
    return max(count - wanted, 0)
