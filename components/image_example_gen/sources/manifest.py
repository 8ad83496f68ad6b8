"""A table of images as CSV or JSON lines, with columns path (or URI), label, and perhaps split, group and weight."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar

from components.image_example_gen.quarantine import BadImagesError, Reason, Rejection, because
from components.image_example_gen.sources import filesystem, item_checks, names, tables, values
from components.image_example_gen.sources.item import Findings, Item
from components.image_example_gen.sources.readers import FileReader, Reader
from config.data import IngestionConfig
from config.errors import BadInputError
from config.section import is_uri

IMAGE, LABEL, SPLIT, GROUP, WEIGHT = "image", "label", "split", "group", "weight"
COLUMNS = {IMAGE: "path", LABEL: "label", SPLIT: "split", GROUP: "group", WEIGHT: "weight"}
_NEEDED = (IMAGE, LABEL)

_WINDOWS_PATH = re.compile(r"[A-Za-z]:[\\/]|\\\\|file:/*[A-Za-z]:", re.IGNORECASE)
_WEB_ADDRESS = re.compile(r"(https?|ftps?)://", re.IGNORECASE)

T = TypeVar("T")


class ManifestSource:
    """A `sources.Source`."""

    def __init__(self, path: str, config: IngestionConfig):
        """Reads the table.

        Raises:
          BadInputError: if the file does not exist.
        """
        self.path, self._config = path, config
        self._root = filesystem.remove_file_scheme(config.root) if config.root else _folder_of(path)
        if config.root and not is_uri(self._root) and not os.path.isdir(self._root):
            raise BadInputError(f"data.root: a folder is expected. Received: {config.root!r}")
        self._columns: dict[str, str] = COLUMNS | dict(config.fields)
        try:
            self._content = filesystem.read(path)
        except OSError as error:
            raise BadInputError(f"data.path: a CSV or JSONL file is expected: {path}: {error.strerror}") from None

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
        rows = tables.read(self.path, self._content, [self._columns[role] for role in _NEEDED])
        found = list(dict.fromkeys(column for _, row in rows for column in row))
        columns, kept = self._find_columns(found), self._find_kept(found)
        items = [self._make_item(line, row, columns, kept) for line, row in rows]
        classes = {item.label for item in items if item.label}
        rejected = item_checks.rejected(items)
        names.check_classes_have_images(classes, self._config.classes, rejected)
        if len(classes) < 2:
            needed = f"two classes or more are needed. Found: {sorted(classes) or 'none'}"
            raise BadImagesError(f"{self.path}: {'; '.join(filter(None, [because(rejected), needed]))}", rejected)
        for store in {"/".join(item.uri.split("/")[:3]) for item in items if is_uri(item.uri)}:
            filesystem.check_reachable(store)
        return items

    def _find_columns(self, found: list[str]) -> dict[str, str]:
        """Role to column; upper case, and spaces around a name, do not matter."""
        columns: dict[str, str] = {}
        known: dict[str, str] = {}
        for column in found:
            if (name := tables.clean(column)) in known:
                raise BadInputError(
                    f"{self.path}: the columns {known[name]!r} and {column!r} have the same name; rename one"
                )
            known[name] = column
        for role, column in self._columns.items():
            if tables.clean(column) in known:
                columns[role] = known[tables.clean(column)]
            elif role in {*_NEEDED, *self._config.fields}:
                hint = " (columns must be separated by commas)" if len(found) == 1 else ""
                raise BadInputError(
                    f"{self.path}: there is no column {column!r} ({role}); add it, or set data.fields.{role}. "
                    f"Found: {', '.join(sorted(found))}{hint}"
                )
        return columns

    def _find_kept(self, found: list[str]) -> list[str]:
        """The columns that `data.slice_columns` names, as the table writes their names."""
        known = {tables.clean(column): column for column in found}
        for number, name in enumerate(self._config.slice_columns):
            if tables.clean(name) not in known:
                raise BadInputError(
                    f"data.slice_columns.{number}: {self.path} has no column {name!r}; correct the name, or remove it. "
                    f"Found: {', '.join(sorted(found))}"
                )
        return [known[tables.clean(name)] for name in self._config.slice_columns]

    def _make_item(self, line: int, row: Mapping[str, Any], columns: Mapping[str, str], kept: Sequence[str]) -> Item:
        def value(role: str, read: Callable[[Any], T]) -> T:
            return of_column(columns.get(role, ""), read)

        def of_column(column: str, read: Callable[[Any], T]) -> T:
            try:
                return read(row.get(column))
            except values.ValueProblemError as error:
                raise BadInputError(f"{self.path}: line {line}: {column}: {error}") from None

        path, label = value(IMAGE, values.to_text), value(LABEL, values.to_label)
        split, group = value(SPLIT, values.to_split), value(GROUP, values.to_group)
        weight = value(WEIGHT, values.to_weight)
        further = tuple(of_column(column, values.to_fact) for column in kept)
        if not path:
            no_path = Rejection(Reason.UNREADABLE, f"the column {columns[IMAGE]!r} is empty")
            return Item(f"{os.path.basename(self.path)}:{line}", "", rejection=no_path, line=line)
        uri = filesystem.join(self._root, path)
        if "\\" in path and not is_uri(uri) and not os.path.lexists(uri):
            uri = filesystem.join(self._root, path.replace("\\", "/"))
        if problem := self._path_problem(path, uri):
            return Item(path, "", rejection=Rejection(Reason.UNREADABLE, problem), line=line)
        rejection = names.reject_label(label, self._config.classes, row.get(columns[LABEL]))
        label = "" if rejection else label
        return Item(path, uri, label, split, group, weight, rejection=rejection, line=line, columns=further)

    def _path_problem(self, path: str, uri: str) -> str:
        """Why a file must not be read; empty if it may be."""
        if _WEB_ADDRESS.match(path):
            return "web addresses are not read; download the images, or copy them to a bucket (gs://, s3://)"
        if _WINDOWS_PATH.match(path):
            return (
                "this is a path on a Windows computer; copy the images to this machine, and write paths relative to "
                "data.root"
            )
        if not (self._config.outside_files or filesystem.is_below(self._root, uri)):
            return f"the file is outside {self._root}; data.root or data.outside_files can allow it"
        return ""


def _folder_of(path: str) -> str:
    return path.rsplit("/", 1)[0] if is_uri(path) else os.path.dirname(path)
