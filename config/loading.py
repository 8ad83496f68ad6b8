"""Reads a configuration file, and says which field of it is wrong.

Loading a file takes no time: neither TFX nor TensorFlow is imported.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pydantic
import yaml

from config import yaml_scalars
from config.errors import BadInputError, did_you_mean
from config.gate import A_NUMBER, BY_CLASS
from config.run import RunConfig
from config.section import Origin, Section, section_of
from config.yaml_scalars import Document

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
    document = _read(path)
    faults = [f"{_path(location)}: {fault}" for location, fault in document.faults.items()]
    try:
        config = RunConfig.model_validate(document.content, context=Origin(Path(path).resolve().parent, remote))
        if not faults:
            return config
    except pydantic.ValidationError as error:
        details = _in_file_order(error, document.content)
        faults += [_fault(detail, document) for detail in details if detail["loc"] not in document.faults]
    lines = "\n".join(f"  {fault}" for fault in dict.fromkeys(faults))
    raise BadInputError(f"{path}:\n{lines}")


def _read(path: str | Path) -> Document:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        where = "" if Path(path).is_absolute() else f" in {Path.cwd()}"
        raise BadInputError(f"{path}: there is no such configuration file{where}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path}: cannot be read: {error}") from None
    try:
        document = yaml_scalars.read(text)
    except yaml.YAMLError as error:
        raise BadInputError(f"{path}: {_yaml_fault(error)}") from None
    except RecursionError:
        raise BadInputError(f"{path}: not valid YAML: too many levels") from None
    if document.content is None:
        raise BadInputError(f"{path}: the file is empty; a mapping of sections (name, data, …) is expected")
    if not isinstance(document.content, dict):
        raise BadInputError(
            f"{path}: a mapping of sections (name, data, …) is expected. Received: {document.content!r}"
        )
    return document


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


def _path(location: tuple[str | int, ...]) -> str:
    return ".".join(str(part) for part in location if part not in (A_NUMBER, BY_CLASS))


def _fault(detail: Any, document: Document) -> str:
    where = _path(detail["loc"])
    if detail["type"] == "missing":
        return f"{where}: is required"
    written = document.written.get(tuple(part for part in detail["loc"] if part not in (A_NUMBER, BY_CLASS)))
    if written and detail["type"] == "string_type":
        return f"{where}: {written.advice}"
    if detail["type"] == "extra_forbidden":
        return f"{where}: no such field; {_allowed_fields(detail['loc'])} Received: {detail['input']!r}"
    if detail["type"] == "model_type":
        return f"{where}: a mapping of fields is expected. Received: {detail['input']!r}"
    message = detail["msg"].removeprefix("Value error, ")
    if not where:  # a fault between sections names its fields itself
        return message
    if isinstance(detail["input"], dict):  # a fault between fields, which the message names
        return f"{where}.{message}" if _FIELD.match(message) else f"{where}: {message}"
    if "Received: " in message:  # the project's own messages name the value already
        return f"{where}: {message}"
    received = written.received(detail["input"]) if written else repr(detail["input"])
    return f"{where}: {message[:1].lower()}{message[1:]}. Received: {received}"


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
