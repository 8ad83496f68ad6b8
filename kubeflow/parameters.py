"""The parameters that a run is given on the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pydantic

from modules.errors import BadInputError
from pipeline.kubeflow_section import Kubeflow

if TYPE_CHECKING:
    from kubeflow.package import Package  # loads kfp

# By the type in the package; TFX compiles no others.
_PARSERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "NUMBER_INTEGER": (int, "a whole number"),
    "NUMBER_DOUBLE": (float, "a number"),
    "STRING": (str, "a text"),
}


def split(arguments: Sequence[str]) -> dict[str, str]:
    """The texts by name.

    Args:
      arguments: as given to --parameter, `name=value`.

    Raises:
      BadInputError: if one has no name or no `=`, or a name is given twice.
    """
    texts: dict[str, str] = {}
    for argument in arguments:
        name, equals, text = argument.partition("=")
        if not (name and equals):
            raise BadInputError(f"--parameter: name=value is expected. Received: {argument!r}")
        if name in texts:
            raise BadInputError(f"--parameter {name}: each is given once. Received: {texts[name]!r} and {text!r}")
        texts[name] = text
    return texts


def values(texts: Mapping[str, str], package: Package, section: Kubeflow) -> dict[str, Any]:
    """The values by name, as the configuration would allow them.

    Args:
      texts: as `split` gives them.
      package: what will run.
      section: of the configuration; its paths may be replaced.

    Raises:
      BadInputError: if the package has no such parameter, or the value isn't of its type or out of its range.
    """
    from components import run_parameters  # loads TFX, as compiling did

    given = {name: _value(name, text, package) for name, text in texts.items()}
    run_parameters.check(given)
    _check_paths(given, section)
    return given


def _value(name: str, text: str, package: Package) -> Any:
    if name not in package.parameters:
        allowed = ", ".join(sorted(package.parameters))
        raise BadInputError(f"--parameter {name}: no such parameter; allowed are {allowed}")
    parser, expected = _PARSERS[package.parameters[name]["parameterType"]]
    try:
        return parser(text)
    except ValueError:
        raise BadInputError(f"--parameter {name}: {expected} is expected. Received: {text!r}") from None


def _check_paths(given: Mapping[str, Any], section: Kubeflow) -> None:
    """Refuses a path that is in no volume: the run would find that out when its first container looks for it."""
    paths = {name: given[name] for name in ("data_path", "push_directory") if name in given}
    try:
        Kubeflow.model_validate({**section.model_dump(), **paths})
    except pydantic.ValidationError as error:
        fault = error.errors()[0]
        told = ": ".join([*map(str, fault["loc"]), fault["msg"].removeprefix("Value error, ")])
        raise BadInputError(f"--parameter {told}") from None
