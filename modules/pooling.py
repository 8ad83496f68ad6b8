"""Pooling: a feature map becomes a vector. Heads begin with it, and so may kept activations end with it."""

from __future__ import annotations

import keras
from keras import layers, ops

_EPSILON = 1e-6
_INITIAL_POWER = 3.0  # the paper's


@keras.saving.register_keras_serializable("regraft")
class GeneralizedMeanPooling2D(layers.Layer):
    """float [batch, height, width, channels] to [batch, channels]: `mean(x ** p) ** (1 / p)`, p learned.

    p = 1 is average pooling, a large p nearly max pooling. Features below zero count as zero. Radenović et al.,
    https://arxiv.org/abs/1711.02512.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.power = self.add_weight(shape=(), initializer=keras.initializers.Constant(_INITIAL_POWER), name="power")

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        power = ops.cast(self.power, x.dtype)
        pooled = ops.mean(ops.power(ops.maximum(x, _EPSILON), power), axis=(1, 2))
        return ops.power(pooled, 1.0 / power)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0], input_shape[3])


_LAYERS = {
    "average": layers.GlobalAveragePooling2D,
    "max": layers.GlobalMaxPooling2D,
    "gem": GeneralizedMeanPooling2D,
}


def pool(x: keras.KerasTensor, pooling: str) -> keras.KerasTensor:
    """[batch, height, width, channels] to [batch, channels]; vectors are left as they are.

    Args:
      x: features.
      pooling: `head.pooling` of a configuration.
    """
    return x if len(x.shape) == 2 else _LAYERS[pooling](name="head_pool")(x)
