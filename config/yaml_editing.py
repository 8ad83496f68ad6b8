"""Changes values in a YAML file's text. Comments, order and quotes of everything else stay."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

import ruamel.yaml
from ruamel.yaml.comments import CommentedMap, CommentedSeq

Path = tuple[str, ...]
DELETED = object()
"""As a value: the key is removed."""

_WIDTH = 120


def edited(text: str, changes: Mapping[Path, Any]) -> str:
    """The text with other values. Mappings that are missing on the way are made, the innermost as one line.

    Args:
      text: a YAML document, whose top is a mapping.
      changes: keys from the top to the new value, or DELETED.
    """
    yaml = _yaml(text)
    content = yaml.load(text)
    for path, value in changes.items():
        _change(content, path, value)
    result = io.StringIO()
    yaml.dump(content, result)
    return result.getvalue()


def _change(content: Any, path: Path, value: Any) -> None:
    *parents, name = path
    for depth, parent in enumerate(parents, start=1):
        if not isinstance(content.get(parent), Mapping):
            if value is DELETED:
                return
            content[parent] = CommentedMap()
            if depth == len(parents):
                content[parent].fa.set_flow_style()
        content = content[parent]
    if value is DELETED:
        content.pop(name, None)
    elif isinstance(value, list):
        content[name] = CommentedSeq(value)
        content[name].fa.set_flow_style()
    else:
        content[name] = value


def _yaml(text: str) -> ruamel.yaml.YAML:
    """A reader and writer that keeps the text's indentation."""
    yaml = ruamel.yaml.YAML()
    yaml.preserve_quotes = True
    yaml.width = max([_WIDTH, *(len(line) for line in text.splitlines())])
    keys = [len(found[1]) for found in re.finditer(r"^( +)[\w'\"-]+:(?:\s|$)", text, re.MULTILINE)]
    items = [len(found[1]) for found in re.finditer(r"^( *)- ", text, re.MULTILINE)]
    mapping = min(keys, default=2)
    offset = min(items) % mapping if items and min(items) < mapping else (mapping if items else 0)
    yaml.indent(mapping=mapping, sequence=offset + 2, offset=offset)
    yaml.Representer = _Representer
    return yaml


class _Representer(ruamel.yaml.RoundTripRepresenter):
    """Writes new values so that YAML 1.1 reads the same."""


def _null(representer: _Representer, _: None) -> Any:
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")


def _float(representer: _Representer, value: float) -> Any:
    """With a point, because YAML 1.1 reads 1e-05 as text."""
    text = repr(value)
    if "e" in text and "." not in text:
        text = text.replace("e", ".0e")
    return representer.represent_scalar("tag:yaml.org,2002:float", text)


_Representer.add_representer(type(None), _null)
_Representer.add_representer(float, _float)
