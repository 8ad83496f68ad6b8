"""Copies PyTorch's weights into the layers of a Keras model of the same architecture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from keras import layers

from modules.backbones import torch_weights

_BATCH_NORM = ("weight", "bias", "running_mean", "running_var")


def load(model: keras.Model, path: str | Path, scope_of: Callable[[str], str]) -> None:
    """Sets the weights of every layer of `model` from a PyTorch weight file.

    Args:
      model: its layers with weights are convolutions without bias, BatchNorm, and dense layers.
      path: a legacy PyTorch weight file, see `torch_weights.load`.
      scope_of: turns the name of such a layer into PyTorch's name of the same layer.

    Raises:
      torch_weights.TorchWeightsError: if the file can't be read as one, or lacks or misshapes a weight.
    """
    state = torch_weights.load(path)
    for layer in model.layers:
        if not layer.weights:
            continue
        scope = scope_of(layer.name)
        arrays = [_keras_layout(layer, _take(state, f"{scope}.{name}", model, path)) for name in _names(layer)]
        for variable, array in zip(layer.weights, arrays, strict=True):
            if tuple(variable.shape) != array.shape:
                raise torch_weights.TorchWeightsError(
                    f"{path}: {variable.path} has shape {tuple(variable.shape)}. Received: {array.shape}"
                )
        layer.set_weights(arrays)


def _names(layer: layers.Layer) -> tuple[str, ...]:
    """PyTorch's names of a layer's weights, in Keras's order."""
    if isinstance(layer, layers.BatchNormalization):
        return _BATCH_NORM
    return ("weight", "bias") if isinstance(layer, layers.Dense) else ("weight",)


def _take(state: dict[str, np.ndarray], name: str, model: keras.Model, path: str | Path) -> np.ndarray:
    if name not in state:
        raise torch_weights.TorchWeightsError(f"{path}: {name} is missing: not the weights of this {model.name}")
    return state[name]


def _keras_layout(layer: layers.Layer, array: np.ndarray) -> np.ndarray:
    """PyTorch keeps kernels as (out, in, height, width) and dense weights as (out, in); Keras the other way round."""
    if isinstance(layer, layers.DepthwiseConv2D):
        return array.transpose(2, 3, 0, 1)
    return array.transpose(2, 3, 1, 0) if isinstance(layer, layers.Conv2D) else array.T
