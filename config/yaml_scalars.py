"""Reads YAML, and knows of each scalar that is not text how it was written.

YAML 1.1, which PyYAML follows, reads `yes` as true, `001` as 1, `010` as 8, `12:30` as 750 and `2024-01-01` as a date.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

Location = tuple[str | int, ...]  # keys and indices from the top of the file

_TAG = "tag:yaml.org,2002:"
_TEXT, _MERGE, _DATE = f"{_TAG}str", f"{_TAG}merge", f"{_TAG}timestamp"
_READ_AS = {
    f"{_TAG}int": "the number {}",
    f"{_TAG}float": "the number {}",
    f"{_TAG}bool": "{}",
    f"{_TAG}null": "no value",
    _DATE: "a date",
}
# Numbers that mean another one than people think: octal, and base 60.
_MISREAD_NUMBER = re.compile(r"[-+]?(0[0-7_]+|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)")


@dataclass(frozen=True)
class Scalar:
    """A scalar without quotes that YAML does not read as text.

    Attributes:
      text: as it is written in the file; may be empty.
      meaning: what YAML reads, as the end of a sentence.
    """

    text: str
    meaning: str

    @property
    def advice(self) -> str:
        """What is wrong where text is expected, and what to do."""
        if not self.text:
            return "text is expected, but there is no value; write one"
        return f'YAML reads {self.text} as {self.meaning}; for text, put it in quotes: "{self.text}"'

    def received(self, value: Any) -> str:
        """The value in a message: with its text, if people would not expect this value."""
        if value is None or self.meaning.endswith(self.text.lower().lstrip(".")):
            return repr(value)
        return f"{self.text}, which YAML reads as {self.meaning}"


@dataclass(frozen=True)
class Document:
    """A YAML document.

    Attributes:
      content: what it holds.
      written: every scalar without quotes that is not text, and every key, by its location.
      faults: what YAML reads otherwise than people do, wherever it is: keys that are not text, dates, octal numbers.
    """

    content: Any
    written: dict[Location, Scalar]
    faults: dict[Location, str]


def read(text: str) -> Document:
    """Reads a file of one document.

    Raises:
      yaml.YAMLError: if it is not such a file, or has a key twice.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        document = Document(None, {}, {})
        if node is None:
            return document
        _Walk(loader, document).visit(node, ())
        return Document(loader.construct_document(node), document.written, document.faults)
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    """YAML as its users expect it: 1e-3 is a number, and a key given twice is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = []
        for key, _ in node.value:
            if key.tag == _MERGE:
                continue
            name = self.construct_object(key, deep)
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {name!r} is given twice", key.start_mark)
            seen.append(name)
        return super().construct_mapping(node, deep)


# YAML 1.2's floats; PyYAML follows YAML 1.1, which needs a dot and a sign in the exponent: 1.0e-3.
_Loader.add_implicit_resolver(
    f"{_TAG}float", re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


class _Walk:
    """Visits every node once, notes scalars, and turns into text what can only be meant as text: keys and dates."""

    def __init__(self, loader: _Loader, document: Document):
        self._loader, self._document, self._seen = loader, document, set[int]()

    def visit(self, node: yaml.Node, location: Location) -> None:
        if id(node) in self._seen:  # an alias
            return
        self._seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            self._note(node, location)
        elif isinstance(node, yaml.SequenceNode):
            for index, child in enumerate(node.value):
                self.visit(child, (*location, index))
        elif isinstance(node, yaml.MappingNode):
            for key, child in node.value:
                if isinstance(key, yaml.ScalarNode) and key.tag not in (_TEXT, _MERGE):
                    self._document.faults[*location, key.value] = f"the key is no text: {self._scalar(key).advice}"
                    key.tag = _TEXT
                self.visit(child, (*location, str(getattr(key, "value", key))))

    def _note(self, node: yaml.ScalarNode, location: Location) -> None:
        if node.style is not None or node.tag not in _READ_AS:
            return
        scalar = self._document.written[location] = self._scalar(node)
        if node.tag == _DATE:
            self._document.faults[location] = scalar.advice
            node.tag = _TEXT  # some are no dates, such as 2024-13-45
        elif _MISREAD_NUMBER.fullmatch(node.value) and node.tag.endswith(("int", "float")):
            number = "without colons" if ":" in node.value else "without the zeros before it"
            self._document.faults[location] = f"{scalar.advice}; write a number {number}"

    def _scalar(self, node: yaml.ScalarNode) -> Scalar:
        meaning = _READ_AS.get(node.tag, "something else")
        return Scalar(node.value, meaning.format("" if "{}" not in meaning else self._value(node)))

    def _value(self, node: yaml.ScalarNode) -> str:
        copy = yaml.ScalarNode(node.tag, node.value)  # the loader would keep what it makes of the node itself
        return str(self._loader.construct_object(copy)).lower()
