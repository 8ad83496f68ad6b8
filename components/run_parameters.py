"""Run parameters: values that replace fields of the configuration in one run, without compiling the pipeline again.

On Kubeflow Pipelines these are the run's parameters, with the configuration's values as defaults. A run on one machine
has none, and the configuration holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pydantic
from tfx.types import component_spec

from config.errors import BadInputError
from config.section import AnySection, Section
from config.training import AUTO

DATA_PATH = "data_path"
TRAINING = ("head_epochs", "head_learning_rate", "fine_tune_epochs", "fine_tune_learning_rate")
GATE = ("min_accuracy", "max_regression")

# The field of the configuration that each parameter replaces.
PATHS: dict[str, tuple[str, ...]] = {
    DATA_PATH: ("data", "path"),
    "head_epochs": ("training", "head", "epochs"),
    "head_learning_rate": ("training", "head", "learning_rate"),
    "fine_tune_epochs": ("training", "fine_tune", "epochs"),
    "fine_tune_learning_rate": ("training", "fine_tune", "learning_rate"),
    "min_accuracy": ("gate", "min_accuracy"),
    "max_regression": ("gate", "max_regression"),
}
_TYPES: dict[str, type] = {"path": str, "epochs": int}  # by field; all others are numbers
_AUTO_EPOCHS = 0  # stands for `auto`, because a parameter of Kubeflow has one type


def specification(*names: str) -> dict[str, component_spec.ExecutionParameter]:
    """The parameters as part of a stage's ComponentSpec."""
    return {name: component_spec.ExecutionParameter(type=_type(name), optional=True) for name in names}


def configured(config: Section, name: str) -> Any:
    """What the configuration says, as a parameter: 0 epochs are `auto`. None if it has no such section.

    Args:
      config: the root of a configuration.
      name: of the parameter.
    """
    found: Any = config
    for field in PATHS[name]:
        if found is None:
            return None
        found = getattr(found, field)
    return _AUTO_EPOCHS if found == AUTO and _type(name) is int else found


def applied(section: AnySection, values: Mapping[str, Any], root: tuple[str, ...] = ()) -> AnySection:
    """A copy of a section in which the values that the run was given have replaced those of the configuration.

    Args:
      section: a part of the configuration.
      values: by name of the parameter. Other names, parameters of other sections, and None are passed over.
      root: path of the section in the configuration; empty for the root.

    Raises:
      BadInputError: if the section's own field refuses the value, or the configuration has no such phase.
    """
    result = section
    for name, path in PATHS.items():
        if values.get(name) is not None and path[: len(root)] == root and path[len(root)] in type(section).model_fields:
            result = _replaced(result, path[len(root) :], name, values[name])
    return result


def check(config: Section, values: Mapping[str, Any]) -> None:
    """Refuses what the configuration would refuse.

    Args:
      config: the root of a configuration.
      values: by name of the parameter; other names and None are passed over.

    Raises:
      BadInputError: as `applied` has it.
    """
    applied(config, values)


def _replaced(section: AnySection, path: tuple[str, ...], name: str, value: Any) -> AnySection:
    first, *rest = path
    inner = getattr(section, first)
    if rest:
        if inner is None:
            raise BadInputError(f"{name}: this pipeline has no {'.'.join(PATHS[name][:-1])}. Received: {value!r}")
        changed = _replaced(inner, tuple(rest), name, value)
    else:
        changed = _typed(value, name)
    fields = type(section).model_fields
    said = {
        field.alias or key: getattr(section, key)
        for key, field in fields.items()
        if key in section.model_fields_set or getattr(section, key) != field.default  # by a preset
    }
    try:
        return type(section).model_validate({**said, fields[first].alias or first: changed})
    except pydantic.ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise BadInputError(f"{name}: {message[:1].lower()}{message[1:]}. Received: {value!r}") from None


def _typed(value: Any, name: str) -> Any:
    """A whole number where one is expected: Kubeflow's parameters arrive as floating-point numbers."""
    if _type(name) is not int:
        return value
    if value == _AUTO_EPOCHS:
        return AUTO
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _type(name: str) -> type:
    return _TYPES.get(PATHS[name][-1], float)
