"""Builds the backbone that a configuration describes: a row of config/backbone_table.py, or the user's own."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np

from config import backbone_table
from config.backbone import BackboneConfig
from config.backbone_table import BUNDLED, EFFICIENTNET_LITE, IMAGENET, MOBILENET_V2, NONE, TENSORFLOW_JS
from config.errors import BackboneError, BadInputError
from modules.backbones import custom, efficientnet_lite, torch_mobilenet_v2, weight_files
from modules.data.normalization import IMAGENET_DEVIATION


def load(backbone: BackboneConfig) -> keras.Model:
    """Makes the backbone that the section `backbone` of a configuration describes.

    Returns:
      a functional model from float32 [batch, image_size, image_size, 3], preprocessed, to float32
      [batch, height, width, channels] or [batch, features].

    Raises:
      BadInputError: if it cannot be built; names the field that is at fault.
    """
    field = next(name for name in ("saved_model", "keras_model", "weights") if getattr(backbone, name) is not None)
    try:
        if backbone.saved_model is not None:
            return custom.from_saved_model(backbone.saved_model, backbone.image_size)
        if backbone.keras_model is not None:
            return custom.from_keras_model(backbone.keras_model, str(backbone.layer), backbone.image_size)
        return build(str(backbone.name), backbone.image_size, str(backbone.weights))
    except BadInputError as error:
        raise BackboneError(f"backbone.{field}: {error}") from error


def build(name: str, image_size: int, weights: str) -> keras.Model:
    """Builds a backbone of the table up to its last feature map, with its weights.

    Args:
      name: a row of `backbone_table.BACKBONES`.
      image_size: height and width of the input, pixels.
      weights: a name the row allows, or the path of a local weight file.

    Returns:
      a functional model from float32 [batch, image_size, image_size, 3], preprocessed, to float32
      [batch, height, width, channels].

    Raises:
      BackboneError: if the table forbids it, or the weights are missing.
      BadInputError: if a weight file cannot be read or does not fit.
    """
    backbone_table.check_image_size(name, image_size)
    backbone_table.check_weights(name, weights)
    try:
        with _fixed_seed():
            if backbone_table.get(name).family == EFFICIENTNET_LITE:
                return _efficientnet_lite(name, image_size, weights)
            if (name, weights) == (MOBILENET_V2, BUNDLED):
                return _bundled_mobilenet_v2(image_size)
            return _keras_application(name, image_size, weights)
    except BadInputError:
        raise
    except Exception as error:
        if weights != IMAGENET:
            raise
        # Keras raises a bare Exception when a download fails.
        bundled = [row.name for row in backbone_table.BACKBONES.values() if BUNDLED in row.weights]
        raise BackboneError(
            f"{name}: the imagenet weights could not be downloaded ({error}). They are downloaded at first use, which "
            "needs a network: without one, set backbone.weights to a local file, or choose a backbone whose weights "
            f"are {BUNDLED} ({', '.join(bundled)})"
        ) from error


def _efficientnet_lite(name: str, image_size: int, weights: str) -> keras.Model:
    number = int(name.removeprefix(EFFICIENTNET_LITE))
    model = efficientnet_lite.efficientnet_lite(number, image_size)
    if weights.endswith(TENSORFLOW_JS):
        weight_files.load(model, weights)
    elif weights != NONE:
        path = efficientnet_lite.bundled_weights(number) if weights == BUNDLED else Path(weights)
        efficientnet_lite.load_torch_weights(model, path)
    return model


def _bundled_mobilenet_v2(image_size: int) -> keras.Model:
    model = torch_mobilenet_v2.torch_mobilenet_v2(image_size)
    torch_mobilenet_v2.load_torch_weights(model, torch_mobilenet_v2.bundled_weights())
    return model


def _keras_application(name: str, image_size: int, weights: str) -> keras.Model:
    from_keras = IMAGENET if weights == IMAGENET else None
    application = getattr(keras.applications, name)
    model = application(input_shape=(image_size, image_size, 3), include_top=False, weights=from_keras)
    if weights not in (IMAGENET, NONE):
        weight_files.load(model, weights)
        _restore_imagenet_deviation(model)
    return model


def _restore_imagenet_deviation(model: keras.Model) -> None:
    """Corrects the variance in ImageNet weights of an EfficientNetB that come from a local file.

    Their file has ImageNet's standard deviation where Normalization expects the variance. Keras makes up for it with a
    further layer, which it adds only for weights="imagenet". Here the variance is corrected instead
    (https://github.com/tensorflow/tensorflow/issues/49930).
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization) and hasattr(layer, "adapt_variance"):
            stored = np.asarray(layer.adapt_variance)
            if np.allclose(stored, IMAGENET_DEVIATION, atol=1e-3):
                layer.adapt_variance.assign(stored**2)
                layer.finalize_state()


@contextlib.contextmanager
def _fixed_seed() -> Iterator[None]:
    """Makes random weights the same in every stage and run: an initialiser draws its seed from Python's generator."""
    state = random.getstate()
    random.seed(0)
    try:
        yield
    finally:
        random.setstate(state)
