"""The table of heads: what is grafted onto a backbone, between its features and the classes."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modules.errors import BadInputError

if TYPE_CHECKING:
    import keras

# A head of a few hundred steps never fills a moving average of momentum 0.99 (Keras's default): after one epoch of 40
# batches it would still be two thirds its initial value, and the evaluation of the first epochs would mean nothing.
BATCH_NORM_MOMENTUM = 0.9
OUTPUTS = ("softmax", "sigmoid", "logits")

# More parameters than this for each training image draw a warning. The demo's conv head has 1,300 and does well; the
# count alone proves nothing, so it is no more than a warning.
PARAMETERS_PER_IMAGE = 5_000


class HeadError(BadInputError):
    """A head can't be built on this backbone."""


@dataclass(frozen=True)
class HeadOptions:
    """What a head is built with; the section `head` of a configuration, see pipeline/config.py."""

    kind: str = "conv"
    pooling: str = "average"
    filters: Sequence[int] = (128, 64)
    kernel: int = 3
    batch_norm: bool = True
    units: int = 1024
    function: str | None = None
    dropout: float = 0.3
    l2: float = 0.0
    initializer: str = "glorot_uniform"
    output: str = "softmax"


@dataclass(frozen=True)
class Head:
    """One row of the table: how it is built, what it is for, when it is too much; the options that only it reads."""

    build: Callable[[keras.KerasTensor, _Toolbox], keras.KerasTensor]
    purpose: str
    too_much: str
    options: tuple[str, ...] = ()


class _Toolbox:
    """Makes layers with the head's initialiser, regulariser and seeds, each seed used once."""

    def __init__(self, options: HeadOptions, seed: int):
        self.options = options
        self._seed = seed

    def next_seed(self) -> int:
        self._seed += 1
        return self._seed - 1

    def kernel(self) -> dict[str, Any]:
        import keras

        initializer = keras.initializers.get(
            {"class_name": self.options.initializer, "config": {"seed": self.next_seed()}}
        )
        regularizer = keras.regularizers.L2(self.options.l2) if self.options.l2 else None
        return {"kernel_initializer": initializer, "kernel_regularizer": regularizer}

    def dropout(self, x: keras.KerasTensor) -> keras.KerasTensor:
        from keras import layers

        return layers.Dropout(self.options.dropout, seed=self.next_seed(), name="head_dropout")(x)

    def pool(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return pool(x, self.options.pooling)


def pool(x: keras.KerasTensor, pooling: str) -> keras.KerasTensor:
    """[batch, height, width, channels] to [batch, channels]; vectors are left as they are."""
    from keras import layers

    from modules.gem import GeneralizedMeanPooling2D

    if len(x.shape) == 2:
        return x
    layer = {
        "average": layers.GlobalAveragePooling2D,
        "max": layers.GlobalMaxPooling2D,
        "gem": GeneralizedMeanPooling2D,
    }[pooling]
    return layer(name="head_pool")(x)


def _dense(features: keras.KerasTensor, tools: _Toolbox) -> keras.KerasTensor:
    return tools.dropout(tools.pool(features))


def _hidden(features: keras.KerasTensor, tools: _Toolbox) -> keras.KerasTensor:
    from keras import layers

    x = tools.pool(features)
    x = layers.Dense(tools.options.units, activation="relu", name="head_hidden", **tools.kernel())(x)
    return tools.dropout(x)


def _conv(features: keras.KerasTensor, tools: _Toolbox) -> keras.KerasTensor:
    from keras import layers

    kernel = tools.options.kernel
    if len(features.shape) != 4:
        raise HeadError(
            f"a conv head needs a feature map; this backbone yields vectors of {features.shape[-1]}. Choose head.kind "
            f"{' or '.join(VECTOR_HEADS)}"
        )
    height, width = features.shape[1:3]
    if min(height, width) < kernel:
        raise HeadError(
            f"a conv head of kernel {kernel} needs a feature map of {kernel}x{kernel} or more; this backbone yields "
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


def _custom(features: keras.KerasTensor, tools: _Toolbox) -> keras.KerasTensor:
    import keras

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
        purpose="Pooling, one hidden layer of ReLUs, a dense layer: for classes that no plane in feature space parts.",
        too_much="With fewer than some hundred images a class, or where `dense` does as well.",
        options=("units",),
    ),
    "conv": Head(
        _conv,
        purpose="Convolutions over the feature map before pooling: for classes told apart by where things stand.",
        too_much="With few images; on feature maps of 3x3 or less there is hardly a where. Needs a feature map.",
        options=("filters", "kernel", "batch_norm"),
    ),
    "custom": Head(
        _custom,
        purpose="Your own function from the features to a vector, before the classes' dense layer.",
        too_much="You decide.",
        options=("function",),
    ),
}
VECTOR_HEADS = ("dense", "hidden", "custom")


def fixed_pooling(options: HeadOptions) -> str | None:
    """The pooling that a head begins with, if it has nothing to train; None for any other head."""
    return options.pooling if options.kind in ("dense", "hidden") and options.pooling in ("average", "max") else None


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


def build(options: HeadOptions, features: tuple[int, ...], classes: int, seed: int) -> keras.Model:
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
      HeadError: if the head doesn't fit the features, or the output the classes.
    """
    import keras
    from keras import layers

    if options.kind not in HEADS:
        raise HeadError(f"heads are {', '.join(HEADS)}. Received: {options.kind!r}")
    if options.output == "sigmoid" and classes != 2:
        raise HeadError(f"head.output sigmoid is for two classes; there are {classes}. Choose softmax or logits")
    tools = _Toolbox(options, seed)
    inputs = keras.Input(features, name="features")
    x = HEADS[options.kind].build(inputs, tools)
    units = 1 if options.output == "sigmoid" else classes
    activation = None if options.output == "logits" else options.output
    answer = layers.Dense(units, activation=activation, dtype="float32", name="head_answer", **tools.kernel())(x)
    try:
        return keras.Model(inputs, answer, name="head")
    except ValueError as error:
        if options.kind != "custom":
            raise
        raise HeadError(f"head.function: {options.function} makes no model ({error})") from error


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
