"""What every section of the configuration is."""

from __future__ import annotations

import typing
import unicodedata
from typing import Annotated

import pydantic

# As ImageExampleGen has them: the same letters can be written in several ways.
ClassName = Annotated[str, pydantic.AfterValidator(lambda name: unicodedata.normalize("NFC", name))]


class Section(pydantic.BaseModel):
    """Strict: no unknown field, no value of another type, nothing changed later; fields are documented below them."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


def is_elsewhere(info: pydantic.ValidationInfo) -> bool:
    """Whether the run will be on another machine, whose files can't be looked at now; see config.load."""
    return bool(info.context and info.context["elsewhere"])


def section_of(annotation: object) -> type[Section] | None:
    """The section that a field holds: itself, or None, or a list or mapping of such."""
    for option in typing.get_args(annotation) or (annotation,):
        if isinstance(option, type) and issubclass(option, Section):
            return option
    return None
