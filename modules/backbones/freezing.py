"""Which layers of the backbone train in which phase."""

from __future__ import annotations

import keras
from keras.layers import BatchNormalization, DepthwiseConv2D

from config.errors import BadInputError
from config.training import Layers

ALWAYS_FROZEN = (BatchNormalization, DepthwiseConv2D)
_SHOWN = 8  # layer names in a message


class UnfreezeError(BadInputError):
    """`training.fine_tune.layers` names no layers of this backbone."""


def freeze(backbone: keras.Model) -> None:
    """Phase 1: nothing of the backbone trains."""
    backbone.trainable = False


def unfreeze_top(backbone: keras.Model, layers: Layers) -> list[str]:
    """Phase 2: the backbone's top layers train, except BatchNorm and depthwise kernels. Recompile the model afterwards.

    BatchNorm stays frozen: its moving averages were learned from a million images, and a few batches of other images
    would overwrite them. Its scale stays frozen with them. Depthwise kernels are 1 to 5 % of the weights, but their
    gradients take a third of a step on CPUs; docs/benchmarks.md has what freezing them changes.

    Args:
      backbone: the backbone inside the classifier.
      layers: `training.fine_tune.layers` of a configuration: how many layers, counted from the output in the order of
        `backbone.layers` (a number beyond them means all); a fraction of them, above 0 and below 1; the name of the
        lowest layer to train; or `all`.

    Returns:
      the names of the layers that now have trainable weights, from the input on.

    Raises:
      UnfreezeError: if the backbone has no layer of this name, or none of these layers can train.
    """
    names = find_top_layers(backbone, layers)
    first = _first_index(backbone, layers)
    backbone.trainable = True
    for index, layer in enumerate(backbone.layers):
        layer.trainable = index >= first
        for inner in layer._flatten_layers():  # itself, and the layers of which a custom layer consists
            inner.trainable = inner.trainable and not isinstance(inner, ALWAYS_FROZEN)
    return names


def find_top_layers(backbone: keras.Model, layers: Layers) -> list[str]:
    """Names of the layers that `unfreeze_top` would train, from the input on; the backbone stays as it is.

    Args:
      backbone: see `unfreeze_top`.
      layers: see `unfreeze_top`.

    Raises:
      UnfreezeError: see `unfreeze_top`.
    """
    names = [layer.name for layer in backbone.layers[_first_index(backbone, layers) :] if _can_train(layer)]
    if not names:
        raise UnfreezeError(
            f"training.fine_tune.layers: {layers!r} unfreezes nothing of {backbone.name} that has weights to train; "
            f"its last layers are {', '.join(layer.name for layer in backbone.layers[-_SHOWN:])}"
        )
    return names


def _can_train(layer: keras.Layer) -> bool:
    """Whether a layer has weights to train, frozen or not."""
    return any(inner._trainable_variables and not isinstance(inner, ALWAYS_FROZEN) for inner in layer._flatten_layers())


def _first_index(backbone: keras.Model, layers: Layers) -> int:
    count = len(backbone.layers)
    if layers == "all":
        return 0
    if isinstance(layers, str):
        names = [layer.name for layer in backbone.layers]
        if layers not in names:
            raise UnfreezeError(
                f"training.fine_tune.layers: {backbone.name} has no layer {layers!r}; its last ones are "
                f"{', '.join(names[-_SHOWN:])}"
            )
        return names.index(layers)
    number = max(1, round(count * layers)) if isinstance(layers, float) else layers
    return max(count - number, 0)
