"""A table of images as CSV or JSON lines, with columns path (or URI), label, and perhaps split, group and weight."""

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

from components.image_example_gen.quarantine import Reason, Rejection
from components.image_example_gen.sources import filesystem, names
from components.image_example_gen.sources.item import Findings, Item
from components.image_example_gen.sources.readers import FileReader, Reader
from config.data import IngestionConfig
from config.errors import BadInputError
from config.section import is_uri, normalize_class_name

IMAGE, LABEL, SPLIT, GROUP, WEIGHT = "image", "label", "split", "group", "weight"
_COLUMNS = {IMAGE: "path", LABEL: "label", SPLIT: "split", GROUP: "group", WEIGHT: "weight"}
_NEEDED = (IMAGE, LABEL)

Row = tuple[int, Mapping[str, Any]]  # line number from 1, values by column


class ManifestSource:
    """A `sources.Source`."""

    def __init__(self, path: str, config: IngestionConfig):
        """Reads the table.

        Raises:
          BadInputError: if the file does not exist, or is not text.
        """
        self.path, self._config = path, config
        self._root = filesystem.remove_file_scheme(config.root) if config.root else _folder_of(path)
        if config.root and not is_uri(self._root) and not os.path.isdir(self._root):
            raise BadInputError(f"data.root: a folder is expected. Received: {config.root!r}")
        self._columns: dict[str, str] = _COLUMNS | dict(config.fields)
        try:
            self._content = filesystem.read(path)
            self._text = self._content.decode("utf-8-sig")
        except OSError as error:
            raise BadInputError(f"data.path: a CSV or JSONL file is expected: {path}: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise BadInputError(f"{path}: the file is not UTF-8; save it as UTF-8: {error}") from None

    def items(self) -> list[Item]:
        """See `sources.Source`; in the order of the lines."""
        return self._items

    def classes(self) -> list[str]:
        return sorted({item.label for item in self._items if item.label})

    def findings(self) -> Findings:
        return Findings()

    def reader(self) -> Reader:
        return FileReader()

    def state(self) -> str:
        """SHA-256 of the table, and of the size and time of the last change of each local file.

        Objects in a store are assumed never to change: a request for each of a million objects would take longer than
        reading them.
        """
        digest = hashlib.sha256(self._content)
        for item in self._items:
            if item.uri and not is_uri(item.uri):
                try:
                    status = os.stat(item.uri)
                except OSError:  # reading the file will report it
                    continue
                digest.update(f"{status.st_size}\0{status.st_mtime_ns}\0".encode())
        return digest.hexdigest()

    @cached_property
    def _items(self) -> list[Item]:
        read = next((reader for ending, reader in _READERS.items() if self.path.lower().endswith(ending)), None)
        if read is None:
            raise BadInputError(
                f"data.path: the name of a manifest must end with {', '.join(_READERS)}. Received: {self.path!r}"
            )
        rows = list(read(self.path, self._text))
        if not rows:
            raise BadInputError(f"{self.path}: the table has no rows; add some")
        columns = self._find_columns(list(dict.fromkeys(column for _, values in rows for column in values)))
        items = [self._make_item(line, values, columns) for line, values in rows]
        classes = {item.label for item in items if item.label}
        names.check_classes_have_images(classes, self._config.classes)
        if len(classes) < 2:
            raise BadInputError(f"{self.path}: two classes or more are needed. Found: {sorted(classes) or 'none'}")
        for store in {"/".join(item.uri.split("/")[:3]) for item in items if is_uri(item.uri)}:
            filesystem.check_reachable(store)
        return items

    def _find_columns(self, found: list[str]) -> dict[str, str]:
        """Role to column; upper case, and spaces around a name, do not matter."""
        columns: dict[str, str] = {}
        known: dict[str, str] = {}
        for column in found:
            if (clean := column.strip().casefold()) in known:
                raise BadInputError(
                    f"{self.path}: the columns {known[clean]!r} and {column!r} have the same name; rename one"
                )
            known[clean] = column
        for role, column in self._columns.items():
            if column.strip().casefold() in known:
                columns[role] = known[column.strip().casefold()]
            elif role in {*_NEEDED, *self._config.fields}:
                hint = " (columns must be separated by commas)" if len(found) == 1 else ""
                raise BadInputError(
                    f"{self.path}: there is no column {column!r} ({role}); add it, or set data.fields.{role}. "
                    f"Found: {', '.join(sorted(found))}{hint}"
                )
        return columns

    def _make_item(self, line: int, values: Mapping[str, Any], columns: Mapping[str, str]) -> Item:
        text = {role: self._to_text(line, column, values.get(column)) for role, column in columns.items()}
        path, label = text[IMAGE], normalize_class_name(text[LABEL])
        if not path:
            no_path = Rejection(Reason.UNREADABLE, f"the column {columns[IMAGE]!r} is empty")
            return Item(f"{os.path.basename(self.path)}:{line}", "", rejection=no_path)
        split = names.standard_split_name(text.get(SPLIT, ""))
        if split is None:
            raise BadInputError(
                f"{self.path}: line {line}: {columns[SPLIT]}: {names.KNOWN_SPLIT_NAMES}, or an empty value, are "
                f"allowed. Received: {text[SPLIT]!r}"
            )
        uri = filesystem.join(self._root, path)
        if not (self._config.outside_files or filesystem.is_below(self._root, uri)):
            detail = f"the file is outside {self._root}; data.root or data.outside_files can allow it"
            return Item(path, "", rejection=Rejection(Reason.UNREADABLE, detail))
        rejection = names.reject_label(label, self._config.classes)
        weight = self._parse_weight(line, text.get(WEIGHT, ""))
        return Item(path, uri, "" if rejection else label, split, text.get(GROUP, ""), weight, rejection=rejection)

    def _to_text(self, line: int, column: str, value: Any) -> str:
        """A value as text; `1` and `1.0` give the same text."""
        if value is None:
            return ""
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise BadInputError(f"{self.path}: line {line}: {column}: text or a number is allowed. Received: {value!r}")
        text = str(value).strip()
        if "\0" in text or any(0xD800 <= ord(letter) <= 0xDFFF for letter in text):
            raise BadInputError(
                f"{self.path}: line {line}: {column}: the text has characters that aren't allowed; remove them. "
                f"Received: {text!r}"
            )
        return text

    def _parse_weight(self, line: int, text: str) -> float:
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


def _folder_of(path: str) -> str:
    return path.rsplit("/", 1)[0] if is_uri(path) else os.path.dirname(path)


def _read_csv(path: str, text: str) -> Iterator[Row]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = reader.fieldnames or []
        if repeated := sorted({column for column in columns if columns.count(column) > 1}):
            raise BadInputError(
                f"{path}: line 1: several columns have the same name; rename them: {', '.join(repeated)}"
            )
        for values in reader:
            if None in values:
                raise BadInputError(
                    f"{path}: line {reader.line_num}: the line has more values than the header has columns; quote "
                    "values that contain commas"
                )
            yield reader.line_num, values
    except csv.Error as error:
        raise BadInputError(f"{path}: line {reader.line_num + 1}: {error}") from None


def _read_jsonl(path: str, text: str) -> Iterator[Row]:
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        try:
            values = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise BadInputError(f"{path}: line {line}: the line is not valid JSON: {error}") from None
        if not isinstance(values, dict):
            raise BadInputError(f"{path}: line {line}: a JSON object is expected. Received: {content[:80]!r}")
        yield line, values


_READERS = {".csv": _read_csv, ".jsonl": _read_jsonl, ".ndjson": _read_jsonl}
