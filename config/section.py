"""What every section of the configuration has in common, and the types of paths in it."""

from __future__ import annotations

import json
import os
import re
import typing
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

import pydantic
from pydantic.fields import FieldInfo

_PATTERN_CHARACTERS = "*?[\\"
AnySection = TypeVar("AnySection", bound="Section")


@dataclass(frozen=True)
class Origin:
    """Where a configuration was read, and where it will run. Only `loading.load` sets it.

    Attributes:
      folder: of the configuration file; relative paths are relative to it.
      remote: whether the run will be on other machines. Then no file can be looked at now.
    """

    folder: Path
    remote: bool = False


def may_look(info: pydantic.ValidationInfo) -> bool:
    """Whether files that the configuration names can be looked at now.

    They can while a configuration file is loaded for a run on this machine. They cannot for a run on other machines,
    and need not once a section travels between stages.
    """
    return isinstance(info.context, Origin) and not info.context.remote


class Section(pydantic.BaseModel):
    """A part of the configuration.

    Strict: unknown fields and values of another type are refused, and nothing changes later. Each field is documented
    in the string below it.
    """

    model_config = pydantic.ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)

    def unused_fields(self) -> dict[str, str]:
        """Fields that mean nothing with the values of the others, and why, as the end of a sentence about the field.

        A configuration that sets one of them is refused, and they are left out when the section is written.
        """
        return {}

    @pydantic.model_validator(mode="after")
    def _sets_no_unused_field(self) -> Self:
        unused = self.unused_fields()
        if wrongly_set := sorted(self.model_fields_set & unused.keys()):
            raise ValueError(f"{wrongly_set[0]} {unused[wrongly_set[0]]}")
        return self

    @classmethod
    def ordered_fields(cls) -> dict[str, FieldInfo]:
        """Every field by name, in the order of docs/configuration.md: own fields first, inherited ones after them."""
        names = (name for part in cls.__mro__ for name in vars(part).get("__annotations__", ()))
        return {name: cls.model_fields[name] for name in names if name in cls.model_fields}

    @pydantic.model_serializer(mode="wrap")
    def _without_unused(self, handler: pydantic.SerializerFunctionWrapHandler) -> dict[str, Any]:
        unused = self.unused_fields()
        return {name: value for name, value in handler(self).items() if name not in unused}

    def part(self, kind: type[AnySection]) -> AnySection:
        """The fields that this section has from `kind`, a class that its own class extends."""
        return kind(**{name: getattr(self, name) for name in kind.model_fields})

    def serialized(self) -> str:
        """The section as JSON: what a stage is given, and part of its cache key. Equal sections give equal text."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), sort_keys=True)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads what `serialized` wrote."""
        return cls.model_validate_json(text)


def section_of(annotation: object) -> type[Section] | None:
    """The section that a field holds: alone, optional, or in a list or mapping; None for any other field."""
    for option in typing.get_args(annotation) or (annotation,):
        if isinstance(option, type) and issubclass(option, Section):
            return option
    return None


def is_uri(path: str) -> bool:
    """Whether a path names a file system by its scheme, such as `gs://` or `s3://`."""
    return "://" in path


def _absolute(path: str, info: pydantic.ValidationInfo) -> str:
    if not path or is_uri(path) or not isinstance(info.context, Origin):
        return path
    return os.path.normpath(info.context.folder / Path(path).expanduser())


def _absolute_here(path: str, info: pydantic.ValidationInfo) -> str:
    return _absolute(path, info) if may_look(info) else path


def resolve_config_path(path: str, info: pydantic.ValidationInfo) -> str:
    """The validator of `ConfigPath`.

    Raises:
      ValueError: if the run will be on other machines and the path is neither absolute nor a URI.
    """
    if not isinstance(info.context, Origin) or may_look(info):
        return _absolute(path, info)
    if not (Path(path).is_absolute() or is_uri(path)):
        raise ValueError("an absolute path in the container is expected")
    return path


_WHOLE_NUMBER = re.compile(r"(-?)(0|[1-9][0-9]*)(\.0+)?")
_NOT_A_NUMBER = re.compile(r"[-+]?(nan|inf|infinity)", re.IGNORECASE)


def pattern_character(path: str | os.PathLike[str]) -> str:
    """The first character of a path that TensorFlow or Beam takes for a part of a pattern; empty if there is none.

    They read and write models, examples and metrics by patterns of their files, and do not escape the folder's path.
    """
    return next((character for character in os.fspath(path) if character in _PATTERN_CHARACTERS), "")


def refuse_pattern(path: str | os.PathLike[str]) -> None:
    """Refuses the path of a folder that TensorFlow or Beam cannot find.

    Raises:
      ValueError: if it contains a character of patterns.
    """
    if character := pattern_character(path):
        raise ValueError(
            f"TensorFlow and TF Serving take the character {character!r} for a part of a pattern; choose a path "
            f"without it. Received: {os.fspath(path)!r}"
        )


def normalize_class_name(name: str) -> str:
    """The one form of a name that sources and people write in several ways.

    Unicode's form NFC, because file systems write the same letters in different forms; no space around it; a whole
    number without decimals: `1.0` is `1`. Any other text stays as it is, such as `001` and `1.10`.
    """
    name = unicodedata.normalize("NFC", name).strip()
    if number := _WHOLE_NUMBER.fullmatch(name):
        sign, digits, _ = number.groups()
        return digits if digits == "0" else sign + digits
    return name


def check_names_differ(by_class: Any) -> Any:
    """A mapping by class name, unchanged.

    Raises:
      ValueError: if two of its names are the same class; one value would be lost.
    """
    names: dict[str, str] = {}
    for name in by_class if isinstance(by_class, dict) else ():
        if isinstance(name, str) and (same := names.setdefault(normalize_class_name(name), name)) != name:
            raise ValueError(f"{same!r} and {name!r} are the same class; name it once")
    return by_class


def is_not_a_number(text: str) -> bool:
    """Whether programs write this text for a number that is missing or infinite: `nan`, `NaN`, `-inf`, `Infinity`."""
    return _NOT_A_NUMBER.fullmatch(text) is not None


def _class_name(name: str) -> str:
    name = normalize_class_name(name)
    if not name:
        raise ValueError("a name is expected")
    if is_not_a_number(name):
        raise ValueError("programs write this for a missing number, so no class can have this name")
    return name


Share = Annotated[float, pydantic.Field(ge=0, le=1, allow_inf_nan=False)]
"""A number from 0 to 1."""

PositiveShare = Annotated[float, pydantic.Field(gt=0, le=1, allow_inf_nan=False)]
"""A number above 0, at most 1."""

ConfigPath = Annotated[str, pydantic.AfterValidator(resolve_config_path)]
"""A path that stages read wherever they run: relative to the configuration file, or absolute for a remote run."""

LocalPath = Annotated[str, pydantic.Field(min_length=1), pydantic.AfterValidator(_absolute_here)]
"""A path of a run on this machine alone; the section `kubeflow` has its own field for runs on other machines."""

ClassName = Annotated[str, pydantic.Field(min_length=1), pydantic.AfterValidator(_class_name)]
"""The name of a class in its one form, as ImageExampleGen writes it; see `normalize_class_name`."""
