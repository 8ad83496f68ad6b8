"""The table of heads: the layers between the backbone's features and the classes."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers

from config.errors import BadInputError
from config.head import HeadConfig
from modules.pooling import pool

# A head trains for a few hundred steps, too few for a moving average of momentum 0.99 (Keras's default): after one
# epoch of 40 batches two thirds of it would still be its initial value, and evaluation would mean nothing.
BATCH_NORM_MOMENTUM = 0.9

# More parameters per training image than this draw a warning. The demo's conv head has 1,300 and does well; the count
# alone proves nothing, so it is no more than a warning.
PARAMETERS_PER_IMAGE = 5_000

_ANSWER = "head_answer"  # the layer that every head ends with


class HeadError(BadInputError):
    """A head cannot be built on this backbone."""


@dataclass(frozen=True)
class Head:
    """One row of the table: how the head is built, what it is good for, and when to choose a smaller one."""

    build: Callable[[keras.KerasTensor, _Toolbox], keras.KerasTensor]
    purpose: str
    too_much: str


class _Toolbox:
    """Makes layers with the head's initialiser, regulariser and seeds, each seed used once."""

    def __init__(self, options: HeadConfig, seed: int):
        self.options = options
        self._seed = seed

    def next_seed(self) -> int:
        self._seed += 1
        return self._seed - 1

    def kernel(self) -> dict[str, Any]:
        initializer = keras.initializers.get(
            {"class_name": self.options.initializer, "config": {"seed": self.next_seed()}}
        )
        regularizer = keras.regularizers.L2(self.options.l2) if self.options.l2 else None
        return {"kernel_initializer": initializer, "kernel_regularizer": regularizer}

    def dropout(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return layers.Dropout(self.options.dropout, seed=self.next_seed(), name="head_dropout")(x)

    def pool(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return pool(x, self.options.pooling)


def _dense(features: keras.KerasTensor, tools: _Toolbox) -> keras.KerasTensor:
    return tools.dropout(tools.pool(features))


def _hidden(features: keras.KerasTensor, tools: _Toolbox) -> keras.KerasTensor:
    x = tools.pool(features)
    x = layers.Dense(tools.options.units, activation="relu", name="head_hidden", **tools.kernel())(x)
    return tools.dropout(x)


def _conv(features: keras.KerasTensor, tools: _Toolbox) -> keras.KerasTensor:
    kernel = tools.options.kernel
    if len(features.shape) != 4:
        raise HeadError(
            f"a conv head needs a feature map; this backbone gives vectors of {features.shape[-1]}. Choose head.kind "
            f"{' or '.join(VECTOR_HEADS)}"
        )
    height, width = features.shape[1:3]
    if min(height, width) < kernel:
        raise HeadError(
            f"a conv head of kernel {kernel} needs a feature map of {kernel}x{kernel} or more; this backbone gives "
            f"{height}x{width} at this image size. Raise backbone.image_size or lower head.kernel"
        )
    x = features
    for index, filters in enumerate(tools.options.filters):
        name = f"head{index}"
        x = layers.Conv2D(
            filters,
            kernel,
            padding="same",
            use_bias=not tools.options.batch_norm,
            name=f"{name}_conv",
            **tools.kernel(),
        )(x)
        if tools.options.batch_norm:
            x = layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, name=f"{name}_bn")(x)
        x = layers.ReLU(name=f"{name}_relu")(x)
    return tools.dropout(tools.pool(x))


def _logistic(features: keras.KerasTensor, tools: _Toolbox) -> keras.KerasTensor:
    return tools.pool(features)


def _custom(features: keras.KerasTensor, tools: _Toolbox) -> keras.KerasTensor:
    function = custom_function(tools.options.function or "")
    try:
        x = function(features)
    except Exception as error:
        raise HeadError(f"head.function: {tools.options.function} failed on {features.shape}: {error}") from error
    if not isinstance(x, keras.KerasTensor) or len(x.shape) != 2 or x.shape[-1] is None:
        raise HeadError(
            f"head.function: {tools.options.function} must turn the features into a Keras tensor [batch, units]. "
            f"Received: {getattr(x, 'shape', x)!r}"
        )
    return x


HEADS = {
    "dense": Head(
        _dense,
        purpose="Pooling, then a dense layer: a linear probe. The first thing to try, and hard to beat on little data.",
        too_much="Never; it is the smallest.",
    ),
    "hidden": Head(
        _hidden,
        purpose="Pooling, one hidden layer of ReLUs, a dense layer: for classes that are not linearly separable.",
        too_much="With fewer than a few hundred images per class, or where `dense` does as well.",
    ),
    "conv": Head(
        _conv,
        purpose="Convolutions over the feature map before pooling: for classes that differ in where things are.",
        too_much="With few images, or on feature maps of 3x3 or less, which have little spatial information left. It "
        "needs a feature map.",
    ),
    "custom": Head(
        _custom,
        purpose="A function of yours from the features to a vector, before the dense layer of the classes.",
        too_much="You decide.",
    ),
    "logistic": Head(
        _logistic,
        purpose="Logistic regression on the pooled features of all blocks, computed to its optimum: the fastest. It "
        "needs no learning rate, and `training.fine_tune: null`.",
        too_much="Never. It is too little where fine-tuning pays.",
    ),
}
VECTOR_HEADS = ("dense", "hidden", "custom", "logistic")


def custom_function(path: str) -> Callable[[keras.KerasTensor], keras.KerasTensor]:
    """Imports `package.module.function`.

    Raises:
      HeadError: if there is none.
    """
    module, _, name = path.rpartition(".")
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, ValueError, AttributeError) as error:
        raise HeadError(f"head.function: package.module.function is expected. Received: {path!r} ({error})") from None
    if not callable(function):
        raise HeadError(f"head.function: {path!r} is not callable")
    return function


def build(options: HeadConfig, features: tuple[int, ...], classes: int, seed: int) -> keras.Model:
    """Builds a head.

    Args:
      options: kind and the rest.
      features: shape of the backbone's output without the batch: (height, width, channels) or (features,).
      classes: number of classes, at least 2.
      seed: of initialisers and dropout.

    Returns:
      a functional model from float32 [batch, *features] to what `options.output` says: `softmax` probabilities
      [batch, classes], `sigmoid` the probability of class 1 [batch, 1], `logits` [batch, classes]. Its last layer
      computes in float32 whatever the precision of the others.

    Raises:
      HeadError: if the head does not fit the features, or the output does not fit the classes.
    """
    if options.output == "sigmoid" and classes != 2:
        raise HeadError(f"head.output sigmoid is for two classes; there are {classes}. Choose softmax or logits")
    tools = _Toolbox(options, seed)
    inputs = keras.Input(features, name="features")
    x = HEADS[options.kind].build(inputs, tools)
    units = 1 if options.output == "sigmoid" else classes
    activation = None if options.output == "logits" else options.output
    answer = layers.Dense(units, activation=activation, dtype="float32", name=_ANSWER, **tools.kernel())(x)
    try:
        return keras.Model(inputs, answer, name="head")
    except ValueError as error:
        if options.kind != "custom":
            raise
        raise HeadError(f"head.function: {options.function} does not give a Keras model ({error})") from error


def set_answer(head: keras.Model, kernel: np.ndarray, bias: np.ndarray) -> None:
    """Sets the last layer of a head to logits that were fitted.

    Args:
      head: as `build` makes it.
      kernel: float32 [features, classes].
      bias: float32 [classes].
    """
    layer = head.get_layer(_ANSWER)
    if layer.units == 1:  # a sigmoid of the difference of two logits is their softmax
        kernel, bias = kernel[:, 1:] - kernel[:, :1], bias[1:] - bias[:1]
    layer.set_weights([kernel, bias])


def logits(head: keras.Model, features: keras.KerasTensor) -> keras.KerasTensor:
    """The logits of all classes, float32 [batch, classes], whatever the head's output; in inference mode.

    Args:
      head: as `build` makes it.
      features: float32 [batch, *features].
    """
    layer = head.get_layer(_ANSWER)
    last = keras.Model(head.input, layer.input)(features, training=False)
    answer = keras.ops.matmul(last, layer.kernel) + layer.bias
    if layer.units == 1:  # a sigmoid is the softmax of this logit and 0
        answer = keras.ops.concatenate([keras.ops.zeros_like(answer), answer], axis=-1)
    return answer


def divided(head: keras.Model, divisor: float) -> keras.Model:
    """The head with divided logits: the kernel and the bias of its last layer are divided, so it costs nothing.

    Args:
      head: as `build` makes it; it stays as it is.
      divisor: above 0.

    Returns:
      a functional model with the same layers, but for the last one.
    """
    old = head.get_layer(_ANSWER)
    layer = layers.Dense.from_config(old.get_config())
    answer = layer(old.input)
    layer.set_weights([value / divisor for value in old.get_weights()])
    return keras.Model(head.input, answer, name=head.name)


def smaller(features: tuple[int, ...], classes: int, parameters: int) -> dict[str, int]:
    """Heads with fewer parameters than `parameters` on the same features, and how many each has, smallest first."""
    channels = features[-1]
    sizes = {
        "dense": channels * classes + classes,
        "hidden, units: 128": channels * 128 + 128 + 128 * classes + classes,
    }
    if len(features) == 3:
        sizes["conv, filters: [32]"] = channels * 32 * 9 + 32 * 4 + 32 * classes + classes
        sizes["conv, filters: [64], kernel: 1"] = channels * 64 + 64 * 4 + 64 * classes + classes
    return {name: size for name, size in sorted(sizes.items(), key=lambda item: item[1]) if size < parameters}
