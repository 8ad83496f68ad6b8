"""The parameters that a run gets on the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pydantic

from config.errors import BadInputError
from config.kubeflow import KubeflowConfig
from config.run import RunConfig

if TYPE_CHECKING:
    from kubeflow.package import Package  # it loads kfp

# By the type in the package; TFX compiles no other types.
_PARSERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "NUMBER_INTEGER": (int, "a whole number"),
    "NUMBER_DOUBLE": (float, "a number"),
    "STRING": (str, "text"),
}


def split(arguments: Sequence[str]) -> dict[str, str]:
    """The texts by name.

    Args:
      arguments: of --parameter, `name=value`.

    Raises:
      BadInputError: if one has no name or no `=`, or two have the same name.
    """
    texts: dict[str, str] = {}
    for argument in arguments:
        name, equals, text = argument.partition("=")
        if not (name and equals):
            raise BadInputError(f"--parameter: name=value is expected. Received: {argument!r}")
        if name in texts:
            raise BadInputError(f"--parameter {name}: must be set once. Received: {texts[name]!r} and {text!r}")
        texts[name] = text
    return texts


def values(texts: Mapping[str, str], package: Package, config: RunConfig) -> dict[str, Any]:
    """The values by name.

    Args:
      texts: from `split`.
      package: the pipeline that will run.
      config: that it was compiled from.

    Raises:
      BadInputError: if the package has no such parameter, or the configuration would refuse the value.
    """
    from components import run_parameters  # loads TFX, which takes seconds

    parsed = {name: _value(name, text, package) for name, text in texts.items()}
    run_parameters.check(config, parsed)
    _check_paths(parsed, config.kubeflow)
    return parsed


def _value(name: str, text: str, package: Package) -> Any:
    if name not in package.parameters:
        allowed = ", ".join(sorted(package.parameters))
        raise BadInputError(f"--parameter {name}: no such parameter; the parameters are {allowed}")
    parser, expected = _PARSERS[package.parameters[name]["parameterType"]]
    try:
        return parser(text)
    except ValueError:
        raise BadInputError(f"--parameter {name}: {expected} is expected. Received: {text!r}") from None


def _check_paths(parsed: Mapping[str, Any], section: KubeflowConfig | None) -> None:
    """Refuses a path that is in no volume. Without this, the run would fail in its first container that needs it."""
    paths = {name: parsed[name] for name in ("data_path", "push_directory") if name in parsed}
    if section is None or not paths:
        return
    try:
        KubeflowConfig.model_validate({**section.model_dump(exclude_unset=True), **paths})
    except pydantic.ValidationError as error:
        fault = error.errors()[0]
        message = ": ".join([*map(str, fault["loc"]), fault["msg"].removeprefix("Value error, ")])
        raise BadInputError(f"--parameter {message}") from None
