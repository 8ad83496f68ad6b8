"""What can be given to a single run instead of what the configuration says, without another pipeline.

On Kubeflow Pipelines these are the run's parameters, with the configuration's values as defaults; elsewhere nobody
gives any, and the configuration holds.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

from tfx.types import component_spec

from modules.errors import BadInputError

DATA_PATH = "data_path"
TRAINING = ("head_epochs", "head_learning_rate", "fine_tune_epochs", "fine_tune_learning_rate")
GATE = ("min_accuracy", "max_regression")

# Where in a configuration stands what the parameter replaces.
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


def specification(*names: str) -> dict[str, component_spec.ExecutionParameter]:
    """The parameters as part of a stage's ComponentSpec."""
    return {name: component_spec.ExecutionParameter(type=_type(name), optional=True) for name in names}


def value(config: Mapping[str, Any], name: str) -> Any:
    """What the configuration says; None if it has no such section.

    Args:
      config: a configuration's sections, as nested mappings.
      name: of the parameter.
    """
    found: Any = config
    for key in PATHS[name]:
        if found is None:
            return None
        found = found[key]
    return found


def applied(config: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the configuration, or of some of its sections, in which what is given has replaced what was said.

    Args:
      config: the sections, as nested mappings; parameters of sections that it lacks are passed over.
      given: values by name; anything but the parameters is passed over, and so is None.

    Raises:
      BadInputError: as `check` has it, or if the configuration has no such phase.
    """
    check(given)
    result = copy.deepcopy(dict(config))
    for name, (*sections, field) in PATHS.items():
        if given.get(name) is None or sections[0] not in result:
            continue
        target: Any = result
        for key in sections:
            target = target[key]
            if target is None:
                raise BadInputError(f"{name}: this pipeline has no {'.'.join(sections)}. Received: {given[name]!r}")
        target[field] = given[name]
    return result


def check(given: Mapping[str, Any]) -> None:
    """Refuses what the configuration would refuse.

    Args:
      given: values by name; anything but the parameters is passed over, and so is None.

    Raises:
      BadInputError: if a number is out of its range.
    """
    for name in PATHS:
        if given.get(name) is not None:
            _check(name, given[name])


def _type(name: str) -> type:
    return _TYPES.get(PATHS[name][-1], float)


def _check(name: str, given: Any) -> None:
    if name == DATA_PATH:
        if not given:
            raise BadInputError(f"{name}: a folder is expected. Received: {given!r}")
    elif name in GATE:
        if not 0 <= given <= 1:
            raise BadInputError(f"{name}: a share from 0 to 1 is allowed. Received: {given!r}")
    elif _type(name) is int:
        if not (given >= 1 and given == int(given)):
            raise BadInputError(f"{name}: a whole number of 1 or more is allowed. Received: {given!r}")
    elif not 0 < given < math.inf:
        raise BadInputError(f"{name}: a number above 0 is allowed. Received: {given!r}")
