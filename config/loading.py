"""Reads a configuration file, and says which field of it is wrong.

Loading a file takes no time: neither TFX nor TensorFlow is imported.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pydantic
import yaml

from config.errors import BadInputError, did_you_mean
from config.gate import A_NUMBER, BY_CLASS
from config.run import RunConfig
from config.section import Origin, Section, section_of

_FIELD = re.compile(r"[a-z]\w*(\.\w+)*: ")  # at the start of a message


def load(path: str | Path, remote: bool = False) -> RunConfig:
    """Reads a configuration file.

    Relative paths in it are relative to the file; they come back absolute.

    Args:
      path: a YAML file.
      remote: whether the run will be on other machines. Then files that it names are not looked at, and their paths
        must be absolute. `data.path` and `push.directory` are left as they are: the section `kubeflow` has its own.

    Raises:
      BadInputError: if the file cannot be read, is not YAML, or has a wrong value. The message has one line for each
        fault, with the field's path, what was given and what is allowed.
    """
    content = _content(path)
    try:
        return RunConfig.model_validate(content, context=Origin(Path(path).resolve().parent, remote))
    except pydantic.ValidationError as error:
        faults = "\n".join(dict.fromkeys(f"  {_fault(detail)}" for detail in _in_file_order(error, content)))
        raise BadInputError(f"{path}:\n{faults}") from None


def _content(path: str | Path) -> dict[str, Any]:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        where = "" if Path(path).is_absolute() else f" in {Path.cwd()}"
        raise BadInputError(f"{path}: there is no such configuration file{where}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path}: cannot be read: {error}") from None
    try:
        content = yaml.load(text, _Loader)  # noqa: S506  a SafeLoader
    except yaml.YAMLError as error:
        raise BadInputError(f"{path}: {_yaml_fault(error)}") from None
    if content is None:
        raise BadInputError(f"{path}: the file is empty; a mapping of sections (name, data, …) is expected")
    if not isinstance(content, dict):
        raise BadInputError(f"{path}: a mapping of sections (name, data, …) is expected. Received: {content!r}")
    return content


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


# YAML 1.2's floats; PyYAML follows YAML 1.1, which needs a dot and a sign in the exponent: 1.0e-3.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def _yaml_fault(error: yaml.YAMLError) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or str(error)
    if problem == "but found another document":
        problem = "a second document begins here; one is allowed"
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark else f"not valid YAML: {problem}"


def _in_file_order(error: pydantic.ValidationError, content: dict[str, Any]) -> list[Any]:
    """The faults in the order of the file's sections; missing sections, and faults between sections, come last."""
    places = {str(name): place for place, name in enumerate(content)}

    def place(detail: Any) -> int:
        return places.get(str(detail["loc"][0]), len(places)) if detail["loc"] else len(places)

    return sorted(error.errors(), key=place)


def _fault(detail: Any) -> str:
    where = ".".join(str(part) for part in detail["loc"] if part not in (A_NUMBER, BY_CLASS))
    if detail["type"] == "missing":
        return f"{where}: is required"
    if detail["type"] == "extra_forbidden":
        return f"{where}: no such field; {_allowed_fields(detail['loc'])}. Received: {detail['input']!r}"
    if detail["type"] == "model_type":
        return f"{where}: a mapping of fields is expected. Received: {detail['input']!r}"
    message = detail["msg"].removeprefix("Value error, ")
    if not where:  # a fault between sections names its fields itself
        return message
    if isinstance(detail["input"], dict):  # a fault between fields, which the message names
        return f"{where}.{message}" if _FIELD.match(message) else f"{where}: {message}"
    if "Received: " in message:  # the project's own messages name the value already
        return f"{where}: {message}"
    return f"{where}: {message[:1].lower()}{message[1:]}. Received: {detail['input']!r}"


def _allowed_fields(location: tuple[str | int, ...]) -> str:
    section: type[Section] = RunConfig
    for name in location[:-1]:
        if name not in section.model_fields:  # an index of a list, or a key of a mapping
            continue
        nested = section_of(section.model_fields[str(name)].annotation)
        if nested is None:
            break
        section = nested
    names = [field.alias or name for name, field in section.ordered_fields().items()]
    sections = [str(name) for name in location[:-1] if not isinstance(name, int)]
    hint = did_you_mean(str(location[-1]), names)
    return f"{sections[-1] if sections else 'the file'} has {', '.join(names)}{hint}"
