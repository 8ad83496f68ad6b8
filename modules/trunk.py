"""Cuts a model in two: the trunk, which nothing trains and which runs once per image, and the part that trains."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Iterator
from typing import Any

import keras
import tensorflow as tf
from keras.src.ops.node import Node
from tensorflow.python.framework import convert_to_constants

from config.training import Layers
from modules.backbones import freezing

_MOST_VALUES = 2  # times an image's pixel values: a bound on the disk and memory that they take
_LARGEST_FOLDED = 2**28  # parameters: a graph holds up to 2 GiB of constants
# Layers of a head that may be part of the trunk: they have no weights, and nothing random.
_FIXED = (keras.layers.InputLayer, keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D)


def cut_backbone(backbone: keras.Model, layers: Layers | None) -> tuple[keras.Model, keras.Model]:
    """Cuts a backbone below the first layer that fine-tuning trains.

    Args:
      backbone: functional; it is not changed.
      layers: `training.fine_tune.layers` of a configuration; None if nothing of it is fine-tuned.

    Returns:
      trunk and tail, see `cut`.

    Raises:
      freezing.UnfreezeError: if the layers to fine-tune do not exist.
    """
    return cut(backbone, [] if layers is None else freezing.find_top_layers(backbone, layers))


def reason_not_to_keep(trunk: keras.Model, required: bool) -> str:
    """Why a trunk's activations are not worth keeping; empty if they are.

    Args:
      trunk: images to activations.
      required: keep them even if they take more room than the images.
    """
    # What a backbone does to pixels before its first kernel (scaling, padding) costs next to nothing.
    computes = any(isinstance(layer, keras.layers.TFSMLayer) for layer in trunk.layers)
    if not computes and not any(len(weight.shape) > 1 for weight in trunk.weights):
        return "fine-tuning reaches down to the backbone's first weights"
    values, pixels = (math.prod(tensor.shape[1:]) for tensor in (trunk.output, trunk.input))
    if values > _MOST_VALUES * pixels and not required:
        return (
            f"an image's activations are {values:,} values, more than {_MOST_VALUES} times its {pixels:,} pixel values"
        )
    return ""


def folded(trunk: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    """The trunk in inference mode, with its weights as constants, which TensorFlow folds into one another.

    BatchNorm goes into the kernels before it, so that results differ from the trunk's own by float32 rounding.

    Args:
      trunk: float32 [batch, ...] to float32 [batch, ...]; later changes of its weights have no effect.
    """
    constant = constant_function(trunk)
    if constant is None:
        return _inference(trunk)
    return lambda x: constant(x)[0]


def constant_function(trunk: keras.Model) -> Any | None:
    """The trunk in inference mode, a ConcreteFunction of constants; None if it is too large for a graph."""
    if trunk.count_params() > _LARGEST_FOLDED:
        return None
    return convert_to_constants.convert_variables_to_constants_v2(_inference(trunk).get_concrete_function())


def _inference(trunk: keras.Model) -> Any:
    images = tf.TensorSpec(trunk.input.shape, tf.float32)
    return tf.function(lambda x: trunk(x, training=False), input_signature=[images], autograph=False)


def digest(trunk: keras.Model) -> str:
    """SHA-256 of a trunk's weights, hexadecimal: two trunks of one cut with the same digest compute the same."""
    hashed = hashlib.sha256()
    for weight in trunk.get_weights():
        hashed.update(weight.tobytes())
    return hashed.hexdigest()


def counted(backbone: keras.Model, layers: Layers | None) -> Layers | None:
    """Layers as a number where they are named: the same layer of a backbone that is built again has another name."""
    if not isinstance(layers, str) or layers == "all":
        return layers
    names = [layer.name for layer in backbone.layers]
    return len(names) - names.index(layers)


def cut_head(head: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Cuts a head behind its pooling, if it comes first and has no weights: a vector is smaller than a map."""
    return cut(head, [layer.name for layer in head.layers if not isinstance(layer, _FIXED)])


def cut(model: keras.Model, changing: Collection[str]) -> tuple[keras.Model, keras.Model]:
    """Cuts a functional model at the last tensor that everything behind depends on and nothing in `changing` makes.

    Args:
      model: functional, with one input and one output.
      changing: names of the layers that the trunk must not contain; without any, the cut is the model's output.

    Returns:
      trunk and tail. They share the model's layers, and `tail(trunk(x))` is `model(x)`. A cut at the input gives a
      trunk that does nothing; a cut at the output gives a tail that does nothing.
    """
    *_, (_, at) = single_tensors(model, changing)
    return _between(model.input, at, f"{model.name}_trunk"), _between(at, model.output, f"{model.name}_tail")


def _between(first: keras.KerasTensor, last: keras.KerasTensor, name: str) -> keras.Model:
    if first is last:
        first = keras.Input(last.shape[1:])
        last = keras.layers.Identity()(first)
    return keras.Model(first, last, name=name)


def single_tensors(
    model: keras.Model, changing: Collection[str] = ()
) -> Iterator[tuple[Node | None, keras.KerasTensor]]:
    """Walks the graph from its input: where a single tensor is still to be used, everything behind depends on it.

    Args:
      model: functional, with one input and one output.
      changing: names of the layers at the first of which the walk ends.

    Yields:
      each of these tensors, the model's input first, and the node that made it, None for the input; one may come again
      after nodes that only made others.
    """
    nodes = [node for depth in sorted(model._nodes_by_depth, reverse=True) for node in model._nodes_by_depth[depth]]
    uses: dict[int, int] = {id(model.output): 1}
    for node in nodes:
        for tensor in node.arguments.keras_tensors:
            uses[id(tensor)] = uses.get(id(tensor), 0) + 1
    live: dict[int, tuple[Node, keras.KerasTensor]] = {}
    yield None, model.input
    for node in nodes:
        if node.operation.name in changing:
            break
        for tensor in node.arguments.keras_tensors:
            uses[id(tensor)] -= 1
            if not uses[id(tensor)]:
                live.pop(id(tensor), None)
        live |= {id(tensor): (node, tensor) for tensor in node.outputs if uses.get(id(tensor))}
        if len(live) == 1:
            yield from live.values()
