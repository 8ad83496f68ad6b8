"""The table of heads: what is grafted onto a backbone's last feature map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from modules.errors import BadInputError

if TYPE_CHECKING:
    import keras

# A head of a few hundred steps never fills a moving average of momentum 0.99 (Keras's default): after one epoch of 40
# batches it would still be two thirds its initial value, and the evaluation of the first epochs would mean nothing.
BATCH_NORM_MOMENTUM = 0.9
CONV_KERNEL = 3


class HeadError(BadInputError):
    """A head can't be built on this backbone."""


def conv(
    feature_map: tuple[int, int, int], classes: int, *, filters: Sequence[int], dropout: float, seed: int
) -> keras.Model:
    """Convolutions over the feature map, then pooling: learns which *place* of the image speaks for a class.

    Each block is Conv3x3, BatchNorm, ReLU; then global average pooling, dropout and a dense softmax.

    Args:
      feature_map: (height, width, channels) of the backbone's last feature map.
      classes: number of classes, at least 2.
      filters: width of each convolution block, at least one.
      dropout: fraction of the pooled features dropped while training, [0, 1).
      seed: of the initialisers and the dropout.

    Returns:
      a functional model from float32 [batch, *feature_map] to probabilities, float32 [batch, classes].

    Raises:
      HeadError: if the feature map is smaller than the convolution's kernel.
    """
    import keras
    from keras import layers

    height, width, _ = feature_map
    if min(height, width) < CONV_KERNEL:
        raise HeadError(
            f"a conv head needs a feature map of {CONV_KERNEL}x{CONV_KERNEL} or more; this backbone yields "
            f"{height}x{width} at this image size. Raise backbone.image_size"
        )
    seeds = iter(range(seed, seed + len(filters) + 2))

    def initializer() -> keras.Initializer:
        return keras.initializers.GlorotUniform(next(seeds))

    features = keras.Input(feature_map, name="features")
    x = features
    for index, channels in enumerate(filters):
        x = layers.Conv2D(
            channels,
            CONV_KERNEL,
            padding="same",
            use_bias=False,
            kernel_initializer=initializer(),
            name=f"head{index}_conv",
        )(x)
        x = layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, name=f"head{index}_bn")(x)
        x = layers.ReLU(name=f"head{index}_relu")(x)
    x = layers.GlobalAveragePooling2D(name="head_pool")(x)
    x = layers.Dropout(dropout, seed=next(seeds), name="head_dropout")(x)
    x = layers.Dense(classes, activation="softmax", kernel_initializer=initializer(), name="probabilities")(x)
    return keras.Model(features, x, name="head")


HEADS: dict[str, Callable[..., keras.Model]] = {"conv": conv}


def build(kind: str, feature_map: tuple[int, int, int], classes: int, *, seed: int, **options: object) -> keras.Model:
    """Builds a head by its name; the options are those of the head's own function.

    Raises:
      HeadError: if there is no such head, or it doesn't fit the feature map.
    """
    if kind not in HEADS:
        raise HeadError(f"heads are {', '.join(HEADS)}. Received: {kind!r}")
    return HEADS[kind](feature_map, classes, seed=seed, **options)
