"""A table of images, CSV or JSON lines: path or URI, label, and perhaps split, group and weight."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from components.image_example_gen.reasons import Reason
from components.image_example_gen.settings import Settings
from components.image_example_gen.sources import class_names, files, split_names
from components.image_example_gen.sources.item import Item
from components.image_example_gen.sources.reading import FileReader, Reader
from modules.errors import BadInputError

IMAGE, LABEL, SPLIT, GROUP, WEIGHT = "image", "label", "split", "group", "weight"
_COLUMNS = {IMAGE: "path", LABEL: "label", SPLIT: "split", GROUP: "group", WEIGHT: "weight"}
_NEEDED = (IMAGE, LABEL)

Row = tuple[int, Mapping[str, Any]]  # line number from 1, values by column


class ManifestSource:
    """A `sources.Source`."""

    def __init__(self, path: str, settings: Settings):
        """Reads the table.

        Raises:
          BadInputError: if there is none, or it can't be read; the line is named.
        """
        self.path, self._settings = path, settings
        self._root = files.plain(settings.root) if settings.root else _folder(path)
        if settings.root and not files.is_remote(self._root) and not os.path.isdir(self._root):
            raise BadInputError(f"data.root: a folder is expected. Received: {settings.root!r}")
        self._columns = _COLUMNS | dict(settings.fields)
        try:
            self._content = files.read(path)
            self._text = self._content.decode("utf-8-sig")
        except OSError as error:
            raise BadInputError(f"data.path: a CSV or JSONL file is expected: {path}: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise BadInputError(f"{path}: is no UTF-8: {error}") from None

    def items(self) -> list[Item]:
        """See `sources.Source`; in the order of the lines."""
        return self._items

    def classes(self) -> list[str]:
        return sorted({item.label for item in self._items if item.label})

    def reader(self) -> Reader:
        return FileReader()

    def state(self) -> str:
        """SHA-256 over the table and, where files are local, each one's size and time of last change.

        Objects in a store are taken to be written once: asking about each of a million takes longer than reading them.
        """
        digest = hashlib.sha256(self._content)
        for item in self._items:
            if item.uri and not files.is_remote(item.uri):
                try:
                    status = os.stat(item.uri)
                except OSError:  # it is found out when it is read
                    continue
                digest.update(f"{status.st_size}\0{status.st_mtime_ns}\0".encode())
        return digest.hexdigest()

    @cached_property
    def _items(self) -> list[Item]:
        read = next((reader for ending, reader in _READERS.items() if self.path.lower().endswith(ending)), None)
        if read is None:
            raise BadInputError(
                f"data.path: a manifest's name ends with {', '.join(_READERS)}. Received: {self.path!r}"
            )
        rows = list(read(self.path, self._text))
        if not rows:
            raise BadInputError(f"{self.path}: has no rows")
        columns = self._found_columns(list(dict.fromkeys(column for _, values in rows for column in values)))
        items = [self._item(line, values, columns) for line, values in rows]
        classes = {item.label for item in items if item.label}
        class_names.refuse_missing(classes, self._settings.classes)
        if len(classes) < 2:
            raise BadInputError(f"{self.path}: two classes or more are needed. Found: {sorted(classes) or 'none'}")
        for store in {"/".join(item.uri.split("/")[:3]) for item in items if files.is_remote(item.uri)}:
            files.check_reachable(store)
        return items

    def _found_columns(self, found: list[str]) -> dict[str, str]:
        """Role to the column that it is in; capitals and spaces around a name don't count."""
        columns: dict[str, str] = {}
        known: dict[str, str] = {}
        for column in found:
            if (clean := column.strip().casefold()) in known:
                raise BadInputError(f"{self.path}: the columns {known[clean]!r} and {column!r} are called the same")
            known[clean] = column
        for role, column in self._columns.items():
            if column.strip().casefold() in known:
                columns[role] = known[column.strip().casefold()]
            elif role in {*_NEEDED, *self._settings.fields}:
                hint = " (columns are separated by commas)" if len(found) == 1 else ""
                raise BadInputError(
                    f"{self.path}: has no column {column!r} ({role}). Found: {', '.join(sorted(found))}{hint}"
                )
        return columns

    def _item(self, line: int, values: Mapping[str, Any], columns: Mapping[str, str]) -> Item:
        text = {role: self._cell(line, column, values.get(column)) for role, column in columns.items()}
        path, label = text[IMAGE], class_names.normalised(text[LABEL])
        if not path:
            return Item(f"{os.path.basename(self.path)}:{line}", "", refused=(Reason.UNREADABLE, "names no file"))
        split = split_names.standard(text.get(SPLIT, ""))
        if split is None:
            raise BadInputError(
                f"{self.path}: line {line}: {columns[SPLIT]}: {split_names.ALLOWED}, or nothing, are allowed. "
                f"Received: {text[SPLIT]!r}"
            )
        uri = files.join(self._root, path)
        if not (self._settings.outside_files or files.is_below(self._root, uri)):
            detail = f"lies outside {self._root}; data.root or data.outside_files would allow it"
            return Item(path, "", refused=(Reason.UNREADABLE, detail))
        refused = class_names.refusal(label, self._settings.classes)
        weight = self._weight(line, text.get(WEIGHT, ""))
        return Item(path, uri, "" if refused else label, split, text.get(GROUP, ""), weight, refused=refused)

    def _cell(self, line: int, column: str, value: Any) -> str:
        """A value as text; whole numbers are the same however they are written."""
        if value is None:
            return ""
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise BadInputError(f"{self.path}: line {line}: {column}: text or a number is allowed. Received: {value!r}")
        text = str(value).strip()
        if "\0" in text or any(0xD800 <= ord(letter) <= 0xDFFF for letter in text):
            raise BadInputError(f"{self.path}: line {line}: {column}: has what can't be in a text. Received: {text!r}")
        return text

    def _weight(self, line: int, text: str) -> float:
        try:
            weight = float(text) if text else 1.0
        except ValueError:
            weight = math.nan
        if not 0 <= weight < math.inf:
            raise BadInputError(
                f"{self.path}: line {line}: {self._columns[WEIGHT]}: a number of 0 or more is allowed. "
                f"Received: {text!r}"
            )
        return weight


def _folder(path: str) -> str:
    return path.rsplit("/", 1)[0] if files.is_remote(path) else os.path.dirname(path)


def _csv(path: str, text: str) -> Iterator[Row]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        names = reader.fieldnames or []
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise BadInputError(f"{path}: line 1: columns are named twice: {', '.join(twice)}")
        for values in reader:
            if None in values:
                raise BadInputError(f"{path}: line {reader.line_num}: has more values than the header has columns")
            yield reader.line_num, values
    except csv.Error as error:
        raise BadInputError(f"{path}: line {reader.line_num + 1}: {error}") from None


def _jsonl(path: str, text: str) -> Iterator[Row]:
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        try:
            values = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise BadInputError(f"{path}: line {line}: no JSON: {error}") from None
        if not isinstance(values, dict):
            raise BadInputError(f"{path}: line {line}: a JSON object is expected. Received: {content[:80]!r}")
        yield line, values


_READERS = {".csv": _csv, ".jsonl": _jsonl, ".ndjson": _jsonl}
