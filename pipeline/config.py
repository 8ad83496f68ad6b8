"""One typed description of a run: what a YAML file may say, what each field means, and what is refused.

Importing this module, and loading a file, takes no time: neither TFX nor TensorFlow is imported.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import yaml
from pydantic import Field

from modules import backbones
from modules.errors import BadInputError

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_MAX_IMAGE_SIZE = 1024
_PATH_FIELDS = (("data", "path"), ("data", "schema"), ("backbone", "weights"), ("push", "directory"))


class _Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


class Splits(_Section):
    """Shares of the three splits, as whole numbers: 8, 1, 1 is 80 %, 10 %, 10 %. Which split an image belongs to is
    decided by the hash of its bytes.
    """

    train: int = Field(8, ge=1)
    """What the model is fitted on. Share, 1 or more; default 8."""
    eval: int = Field(1, ge=1)
    """What training stops early on. Share, 1 or more; default 1."""
    test: int = Field(1, ge=1)
    """What the gate decides on; training never sees it. Share, 1 or more; default 1."""


class Data(_Section):
    """The labelled images."""

    path: str = Field(min_length=1)
    """Folder with one subfolder a class; images may lie at any depth below. Relative to the configuration file."""
    splits: Splits = Splits()
    """Shares of train, eval and test; default 8, 1, 1."""
    max_bad_fraction: float = Field(0.05, ge=0, le=1, allow_inf_nan=False)
    """Fraction of the files that may be unusable (they are quarantined, with the reason) before the run is stopped.
    0 to 1; default 0.05."""
    schema_: Annotated[str | None, Field(alias="schema")] = None
    """A curated schema of the facts about each image (label, format, height, width), as a TensorFlow Metadata
    `Schema` in text format; every split is validated against it, and an anomaly stops the run. Relative to the
    configuration file. Default: none; the schema is inferred."""

    @pydantic.field_validator("schema_")
    @classmethod
    def _schema_can_be_read(cls, path: str | None) -> str | None:
        if path is not None:
            from google.protobuf import text_format
            from tensorflow_metadata.proto.v0 import schema_pb2

            try:
                text_format.Parse(Path(path).read_text(encoding="utf-8"), schema_pb2.Schema())
            except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
                raise ValueError(f"a Schema in text format is expected ({error})") from None
        return path


class Backbone(_Section):
    """The pretrained network below the head."""

    name: str = "EfficientNetLite0"
    """A row of the table in modules/backbones.py: EfficientNetLite0 (default) or MobileNetV2."""
    image_size: int = Field(160, ge=1, le=_MAX_IMAGE_SIZE)
    """Height and width that images are resized to, pixels; at least what the backbone takes, at most 1024;
    default 160."""
    weights: str = ""
    """`bundled` (carried by an installed package), `imagenet` (downloaded by Keras at first use), `none` (random), or
    a local weight file, relative to the configuration file. Default: the first that the backbone offers."""

    @pydantic.model_validator(mode="before")
    @classmethod
    def _default_weights(cls, section: Any) -> Any:
        if isinstance(section, dict) and "weights" not in section:
            row = backbones.BACKBONES.get(str(section.get("name", "EfficientNetLite0")))
            return {**section, "weights": row.weights[0]} if row else section
        return section

    @pydantic.field_validator("name")
    @classmethod
    def _in_the_table(cls, name: str) -> str:
        return backbones.get(name).name

    @pydantic.field_validator("image_size")
    @classmethod
    def _image_size_fits(cls, image_size: int, info: pydantic.ValidationInfo) -> int:
        if "name" in info.data:  # absent if the name itself was refused
            backbones.check_image_size(info.data["name"], image_size)
        return image_size

    @pydantic.field_validator("weights")
    @classmethod
    def _weights_exist(cls, weights: str, info: pydantic.ValidationInfo) -> str:
        if "name" in info.data:
            backbones.check_weights(info.data["name"], weights)
        return weights


class Head(_Section):
    """What is grafted onto the backbone."""

    kind: Literal["conv"] = "conv"
    """`conv`: blocks of Conv3x3, BatchNorm, ReLU, then global average pooling, dropout, dense softmax."""
    filters: list[Annotated[int, Field(ge=1, le=4096)]] = Field([128, 64], min_length=1, max_length=8)
    """Width of each convolution block, from the backbone on; 1 to 8 numbers of 1 to 4096; default [128, 64]."""
    dropout: float = Field(0.3, ge=0, lt=1, allow_inf_nan=False)
    """Fraction of the pooled features dropped while training; 0 to below 1; default 0.3."""


class HeadPhase(_Section):
    """Phase 1: the head trains, the backbone is frozen."""

    epochs: int = Field(10, ge=1)
    """At most this many passes over the training split; default 10."""
    learning_rate: float = Field(1e-3, gt=0, allow_inf_nan=False)
    """Of Adam; above 0; default 1e-3."""


class FineTunePhase(_Section):
    """Phase 2: the backbone's top layers train too, except their BatchNorm."""

    epochs: int = Field(10, ge=1)
    """At most this many further passes; default 10."""
    learning_rate: float = Field(1e-5, gt=0, allow_inf_nan=False)
    """Of Adam, started afresh; above 0; default 1e-5."""
    layers: int = Field(20, ge=1)
    """How many of the backbone's layers to unfreeze, counted from its output; BatchNorm layers are counted, but stay
    frozen; default 20."""


class Training(_Section):
    """The two-phase fit."""

    seed: int = Field(0, ge=0, lt=2**31)
    """Of initialisers, dropout and shuffling: two runs with the same seed on the same data agree; default 0."""
    batch_size: int = Field(32, ge=1)
    """Images a step; default 32."""
    patience: int = Field(3, ge=1)
    """A phase stops after this many epochs without a lower loss on eval, and takes its best weights; default 3."""
    head: HeadPhase = HeadPhase()
    """Phase 1."""
    fine_tune: FineTunePhase | None = FineTunePhase()
    """Phase 2; `null` skips it."""


class Gate(_Section):
    """What a candidate must show on the test split before it is pushed."""

    min_accuracy: float = Field(0.95, ge=0, le=1, allow_inf_nan=False)
    """Lowest accuracy that is blessed; 0 to 1; default 0.95."""
    max_regression: float = Field(0.01, ge=0, le=1, allow_inf_nan=False)
    """How far the accuracy may lie below that of the model in production, if there is one; 0 to 1; default 0.01."""


class Push(_Section):
    """Where a blessed model goes."""

    directory: str | None = None
    """Folder that gets one numbered subfolder a version, as TF Serving reads it; relative to the configuration file.
    Default: `serving` in the run's own folder."""


class Config(_Section):
    """A run. Every section but `name` and `data` may be left out."""

    name: str
    """The pipeline's name: lower-case letters, digits and `-`, at most 63 (also a legal Kubernetes name)."""
    data: Data
    backbone: Backbone = Backbone(weights="bundled")
    head: Head = Head()
    training: Training = Training()
    gate: Gate = Gate()
    push: Push = Push()

    @pydantic.field_validator("name")
    @classmethod
    def _legal_name(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError("lower-case letters, digits and '-' are allowed, 1 to 63 of them, not '-' at either end")
        return name


def load(path: str | Path) -> Config:
    """Reads a configuration file.

    Relative paths in it are taken as relative to the file and come back absolute.

    Args:
      path: a YAML file.

    Raises:
      BadInputError: if the file can't be read, is no YAML, or says what it may not; one line a fault, with the field's
        path, what was given and what is allowed.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadInputError(f"{path}: there is no such configuration file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path}: can't be read: {error}") from None
    try:
        content = yaml.load(text, _Loader)  # noqa: S506  a SafeLoader
    except yaml.YAMLError as error:
        raise BadInputError(f"{path}: {_yaml_fault(error)}") from None
    if not isinstance(content, dict):
        raise BadInputError(f"{path}: a mapping of sections (name, data, …) is expected. Received: {content!r}")
    try:
        return Config.model_validate(_absolute_paths(content, Path(path).resolve().parent))
    except pydantic.ValidationError as error:
        faults = "\n".join(f"  {_fault(detail)}" for detail in error.errors())
        raise BadInputError(f"{path}:\n{faults}") from None


class _Loader(yaml.SafeLoader):
    """YAML as its users expect it: 1e-3 is a number, and a key given twice is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = []
        for key, _ in node.value:
            name = self.construct_object(key, deep)
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {name!r} is given twice", key.start_mark)
            seen.append(name)
        return super().construct_mapping(node, deep)


# YAML 1.2's floats; PyYAML follows YAML 1.1, which wants a dot and a sign in the exponent: 1.0e-3.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+"), list("-+.0123456789")
)


def _yaml_fault(error: yaml.YAMLError) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or str(error)
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark else f"no valid YAML: {problem}"


def _absolute_paths(content: dict[str, Any], base: Path) -> dict[str, Any]:
    result = {key: dict(value) if isinstance(value, dict) else value for key, value in content.items()}
    for section, field in _PATH_FIELDS:
        fields = result.get(section)
        value = fields.get(field) if isinstance(fields, dict) else None
        if isinstance(value, str) and value and not (section == "backbone" and _is_weights_name(value)):
            result[section][field] = os.path.normpath(base / Path(value).expanduser())
    return result


def _is_weights_name(value: str) -> bool:
    return Path(value).suffix == "" and os.sep not in value


def _fault(detail: Any) -> str:
    where = ".".join(map(str, detail["loc"])) or "configuration"
    if detail["type"] == "missing":
        return f"{where}: is required"
    if detail["type"] == "extra_forbidden":
        return f"{where}: no such field; {_allowed_fields(detail['loc'])}. Received: {detail['input']!r}"
    if detail["type"] == "model_type":
        return f"{where}: a mapping of fields is expected. Received: {detail['input']!r}"
    message = detail["msg"].removeprefix("Value error, ")
    if "Received: " in message:  # our own tables' messages name the value already
        return f"{where}: {message}"
    return f"{where}: {message[:1].lower()}{message[1:]}. Received: {detail['input']!r}"


def _allowed_fields(location: tuple[str | int, ...]) -> str:
    section: type[pydantic.BaseModel] = Config
    for name in location[:-1]:
        annotation = section.model_fields[str(name)].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel)):
            break
        section = annotation
    names = [field.alias or name for name, field in section.model_fields.items()]
    return f"{section.__name__.lower()} has {', '.join(names)}"
