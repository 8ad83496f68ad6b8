"""The section `backbone`: the pretrained network below the head."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from config import backbone_table
from config.section import ConfigPath, Section, may_look, refuse_pattern, resolve_config_path

DEFAULT_BACKBONE = "EfficientNetLite0"
_MAX_IMAGE_SIZE = 1024


class ImageInput(Section):
    """How an image becomes what the backbone takes: all that Transform depends on."""

    image_size: int = Field(160, ge=1, le=_MAX_IMAGE_SIZE)
    """Height and width that images are resized to, in pixels. At least what the backbone takes, at most 1024. Default
    160."""
    preprocessing: Literal["raw", "unit", "tf", "torch", "caffe", "lite"] | None = None
    """What the weights were trained to take, made from RGB in [0, 255]: `raw` as it is, `unit` [0, 1], `tf` [-1, 1],
    `torch` (unit minus ImageNet's mean, divided by its deviation), `caffe` (BGR minus ImageNet's mean), `lite`
    (x - 127) / 128. Default: as the table says for these weights; `unit` for a SavedModel, as on TF Hub. A Keras model
    file needs it."""
    aspect: Literal["resize", "crop", "pad"] = "resize"
    """How an image becomes a square: `resize` (default) stretches it, `crop` takes the largest square at its centre,
    `pad` fits the whole image in and fills the rest with black."""
    interpolation: Literal["bilinear", "bicubic", "nearest", "area", "lanczos3"] | None = None
    """How pixels are resized; antialiased where the image shrinks. Default: as the table says, which is how the family
    was trained; bilinear otherwise."""


def _is_weights_name(value: str) -> bool:
    return Path(value).suffix == "" and os.sep not in value


def _weights(value: str, info: pydantic.ValidationInfo) -> str:
    return value if _is_weights_name(value) else resolve_config_path(value, info)


def _table_defaults(row: backbone_table.BackboneRow, weights: object) -> dict[str, str]:
    chosen = row.weights[0] if weights is None else str(weights)
    return {
        "weights": row.weights[0],
        "preprocessing": row.preprocessing_for(chosen),
        "interpolation": row.interpolation,
    }


class BackboneConfig(ImageInput):
    """The pretrained network below the head.

    A row of the table in docs/backbones.md, a SavedModel feature extractor, or a Keras model file cut at a layer.
    """

    name: str | None = None
    """A row of docs/backbones.md. Default: EfficientNetLite0, if neither `saved_model` nor `keras_model` is given."""
    saved_model: ConfigPath | None = None
    """Folder of a feature extractor in SavedModel format, as TF Hub and KerasHub export them. It cannot be fine-tuned.
    Relative to the configuration file. Default: none."""
    keras_model: ConfigPath | None = None
    """A `.keras` file of a functional or sequential model; needs `layer`. Relative to the configuration file. Default:
    none."""
    layer: str | None = None
    """With `keras_model`: the layer whose output the head takes. It may be a whole model inside the model, or a
    layer of such a model: its name, or `inner_model/layer`."""
    weights: Annotated[str, pydantic.AfterValidator(_weights)] | None = None
    """`bundled` (in an installed package), `imagenet` (Keras downloads them at first use), `none` (random, the same
    ones each time), or a local weight file (`.h5`, `.weights.h5`, `.keras`, the `model.json` of a TensorFlow.js layers
    model; `.pth` for EfficientNetLite), with or without its classification top, relative to the configuration file.
    Default: the first that the backbone offers."""

    @pydantic.model_validator(mode="before")
    @classmethod
    def _defaults(cls, section: Any) -> Any:
        if not isinstance(section, dict):
            return section
        if section.get("saved_model") is None and section.get("keras_model") is None:
            filled = {"name": DEFAULT_BACKBONE, **section}
            row = backbone_table.BACKBONES.get(str(filled["name"]))
            defaults = _table_defaults(row, filled.get("weights")) if row else {}
        else:
            filled, defaults = dict(section), {"interpolation": "bilinear"}
            defaults |= {"preprocessing": "unit"} if section.get("keras_model") is None else {}
        return {**filled, **{name: value for name, value in defaults.items() if filled.get(name) is None}}

    @pydantic.field_validator("name")
    @classmethod
    def _in_the_table(cls, name: str | None) -> str | None:
        return None if name is None else backbone_table.get(name).name

    @pydantic.field_validator("saved_model")
    @classmethod
    def _is_a_saved_model(cls, directory: str | None, info: pydantic.ValidationInfo) -> str | None:
        if directory is not None and may_look(info):
            refuse_pattern(directory)
            if not Path(directory, "saved_model.pb").is_file():
                raise ValueError("a folder with a saved_model.pb is expected")
        return directory

    @pydantic.field_validator("keras_model")
    @classmethod
    def _is_a_keras_model(cls, path: str | None, info: pydantic.ValidationInfo) -> str | None:
        if path is None:
            return None
        if path.endswith((".weights.h5", ".pth")):
            raise ValueError("a .keras file is expected; this one holds weights alone, so set name and weights")
        if path.endswith((".h5", ".hdf5")):
            raise ValueError(
                "a .keras file is expected; convert this one: keras.models.load_model('my.h5').save('my.keras')"
            )
        if may_look(info) and Path(path, "saved_model.pb").is_file():
            raise ValueError("a .keras file is expected; this is a SavedModel, so set saved_model")
        if not path.endswith(".keras") or (may_look(info) and not Path(path).is_file()):
            raise ValueError("an existing .keras file is expected")
        return path

    @pydantic.field_validator("weights")
    @classmethod
    def _weights_exist(cls, weights: str | None, info: pydantic.ValidationInfo) -> str | None:
        can_tell = weights is None or _is_weights_name(weights) or may_look(info)
        if info.data.get("name") and can_tell:  # no name here means that the name itself was refused
            backbone_table.check_weights(info.data["name"], weights or "")
        return weights

    @pydantic.model_validator(mode="after")
    def _image_size_fits(self) -> BackboneConfig:
        if self.name is not None:
            try:
                backbone_table.check_image_size(self.name, self.image_size)
            except backbone_table.BackboneError as error:
                raise ValueError(f"image_size: {error}") from None
        return self

    @pydantic.model_validator(mode="after")
    def _one_of_three(self) -> BackboneConfig:
        given = [field for field in ("name", "saved_model", "keras_model") if getattr(self, field) is not None]
        if len(given) != 1:
            raise ValueError(f"one of name, saved_model and keras_model is allowed. Received: {' and '.join(given)}")
        if self.name is None and self.weights is not None:
            raise ValueError(f"{given[0]} brings its own weights. Received: weights={self.weights!r}")
        if (self.layer is None) != (self.keras_model is None):
            raise ValueError("layer names a layer of keras_model, so both or neither are needed. Received: one of them")
        if self.keras_model is not None and self.preprocessing is None:
            raise ValueError("keras_model needs preprocessing: what the model was trained to take. Received: none")
        return self

    @property
    def image_input(self) -> ImageInput:
        """The part of the section that Transform depends on."""
        return self.part(ImageInput)

    @property
    def files(self) -> list[str]:
        """Paths of the files and folders that the section names."""
        weights = self.weights if self.weights and not _is_weights_name(self.weights) else None
        return [path for path in (weights, self.saved_model, self.keras_model) if path]
