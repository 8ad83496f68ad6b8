"""Writes a manifest with the labels that a person has decided on: for `regraft relabel`."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from components.image_example_gen import sources
from components.image_example_gen.sources import filesystem, tables
from components.image_example_gen.sources.item import Item
from components.image_example_gen.sources.manifest import COLUMNS, GROUP, IMAGE, LABEL, SPLIT, WEIGHT
from components.label_check.results import DECISION
from config import loading
from config.data import DataConfig
from config.errors import BadInputError, ExitCode, did_you_mean, listed
from config.section import is_uri, normalize_class_name
from modules.files import atomic_write, check_output
from pipeline.workspace import display_path

LEAVE_OUT = "-"  # as a decision
_FILE, _LABEL, _KEY = "file", "label", "key"


@dataclass(frozen=True)
class _Decision:
    """What a person has decided about one image.

    Attributes:
      line: of the table, from 1.
      item: the image.
      key: SHA-256 of its file.
      label: the new class, or LEAVE_OUT.
    """

    line: int
    item: Item
    key: str
    label: str


def relabel(suspects: str, config_path: str, output: str, terminal: TextIO) -> ExitCode:
    """Writes a manifest of all images of a configuration, with the decisions of a person; no image is changed.

    A decision is about the content: byte-identical copies of an image, which a run uses once, get the same label.

    Args:
      suspects: a `suspects.csv` of the stage LabelCheck whose column `decision` a person has filled in.
      config_path: of the configuration file.
      output: the manifest, a `.csv` file that does not exist yet.
      terminal: where to print.

    Raises:
      BadInputError: if a decision names no class, or an image that the configuration does not have, or whose file has
        changed; if two decisions about one image contradict each other; if no decision is there; or if a manifest
        cannot describe these images.
      OSError: if the table cannot be read, or the manifest cannot be written.
    """
    target = Path(output)
    if target.suffix.lower() != ".csv":
        raise BadInputError(f"--output: a name that ends with .csv is expected. Received: {output!r}")
    if target.exists():
        raise BadInputError(f"--output: {display_path(target)}: exists already; name another file")
    check_output("--output", target)
    data = loading.load(config_path).data
    if data.source not in ("folders", "manifest"):
        raise BadInputError(
            f"{display_path(config_path)}: data.source: only images in folders and manifests can be relabelled. "
            f"Received: {data.source!r}"
        )
    source = sources.open_source(data.path, data.ingestion)
    items = [item for item in source.items() if item.uri]
    decisions = _by_content(display_path(suspects), _decisions(suspects, items, terminal))
    copies = _copies(items, decisions)
    labels = {one.item.path: one.label for one in decisions.values()} | copies
    changed = {item.path: labels[item.path] for item in items if labels.get(item.path, item.label) != item.label}
    if not changed:
        raise BadInputError(
            f"{display_path(suspects)}: {DECISION}: changes no label; write the right class, or {LEAVE_OUT} to leave "
            "an image out"
        )
    root = _root(data, source.path)
    atomic_write(target, _manifest(items, changed, root, data))
    left_out = sum(label == LEAVE_OUT for label in changed.values())
    _print_result(
        target, (len(items) - left_out, len(changed) - left_out, left_out), len(copies.keys() & changed), terminal
    )
    folder = Path(config_path).absolute().parent
    print(
        f"to use it, set in the section data of {display_path(config_path)}: source: manifest, path: "
        f"{_relative(target.absolute(), folder)}, root: {_relative(root, folder)}",
        file=terminal,
    )
    return ExitCode.OK


def _print_result(target: Path, numbers: tuple[int, int, int], copies: int, terminal: TextIO) -> None:
    images, with_another_label, left_out = numbers
    print(
        f"{display_path(target)}: {images} images, {with_another_label} of them with another label; {left_out} left "
        "out",
        file=terminal,
    )
    if copies:
        what = "1 identical copy" if copies == 1 else f"{copies} identical copies"
        print(f"these numbers include {what} of images that you decided on", file=terminal)


def _decisions(suspects: str, items: Sequence[Item], terminal: TextIO) -> list[_Decision]:
    """The rows with a decision. It says which rows are too short to have one: they may be a mistake."""
    by_path = {item.path: item for item in items}
    classes = sorted({item.label for item in items if item.label})
    shown = display_path(suspects)
    found, short = [], []
    for line, row in tables.read(shown, Path(suspects).read_bytes(), (_FILE, _LABEL, DECISION)):
        cells = {tables.clean(name): cell for name, cell in row.items()}
        if missing := [name for name in (_FILE, _LABEL, DECISION) if name not in cells]:
            raise BadInputError(
                f"{shown}: there is no column {missing[0]!r}; use a suspects.csv of the stage LabelCheck"
            )
        if cells[DECISION] is None:
            short.append(str(line))
        if decision := normalize_class_name(str(cells[DECISION] or "")):
            texts = {name: str(cell or "") for name, cell in cells.items()}
            try:
                found.append(_Decision(line, *_decided_image(texts, by_path), _decided_label(decision, classes)))
            except BadInputError as error:
                raise BadInputError(f"{shown}: line {line}: {error}") from None
    if short:
        print(
            f"{shown}: line {listed(short)}: ends before the column {DECISION}, which counts as no decision",
            file=terminal,
        )
    return found


def _decided_image(cells: Mapping[str, str], by_path: Mapping[str, Item]) -> tuple[Item, str]:
    """The image of a row, and its key. Raises BadInputError if it is not the one that the run saw."""
    file = cells[_FILE]
    if file not in by_path:
        raise BadInputError(f"{file}: is not among the images of the configuration")
    item = by_path[file]
    if normalize_class_name(cells[_LABEL]) != item.label:
        raise BadInputError(f"{file}: has the label {item.label!r} now; use the suspects.csv of a newer run")
    try:
        key = _key(item)
    except OSError as error:
        raise BadInputError(f"{file}: cannot be read: {error.strerror}") from None
    if (recorded := cells.get(_KEY, "").strip().lower()) and recorded != key:
        raise BadInputError(
            f"{file}: the file is another one now ({_KEY} is not its SHA-256); use the suspects.csv of a newer run"
        )
    return item, key


def _decided_label(decision: str, classes: Sequence[str]) -> str:
    if decision not in (LEAVE_OUT, *classes):
        raise BadInputError(
            f"{DECISION}: a class, or {LEAVE_OUT} to leave the image out, is expected"
            f"{did_you_mean(decision, classes)} Received: {decision!r}"
        )
    return decision


def _by_content(suspects: str, decisions: Sequence[_Decision]) -> dict[str, _Decision]:
    """SHA-256 of each image to the first decision about it. Raises BadInputError if two contradict each other."""
    found: dict[str, _Decision] = {}
    for one in decisions:
        first = found.setdefault(one.key, one)
        if first.label != one.label:
            same = "" if first.item.path == one.item.path else f", which is identical to {first.item.path},"
            raise BadInputError(
                f"{suspects}: lines {first.line} and {one.line}: {one.item.path}{same} has two decisions, "
                f"{first.label!r} and {one.label!r}; keep one"
            )
    return found


def _copies(items: Sequence[Item], decisions: Mapping[str, _Decision]) -> dict[str, str]:
    """Path of each other file with the bytes of an image that was decided on, to that decision.

    Only files of the same size are read, and those whose size is unknown.
    """
    sizes = {_size(one.item) for one in decisions.values()} | {None}
    paths = {one.item.path for one in decisions.values()}
    found = {}
    for item in items:
        if item.path in paths or item.rejection or _size(item) not in sizes:
            continue
        try:
            key = _key(item)
        except OSError:  # a run will report it
            continue
        if key in decisions:
            found[item.path] = decisions[key].label
    return found


def _key(item: Item) -> str:
    """The image's key in a run: SHA-256 of the file."""
    return hashlib.sha256(filesystem.read(item.uri)).hexdigest()


def _size(item: Item) -> int | None:
    """Bytes; None if unknown."""
    if is_uri(item.uri):
        return item.size or None
    try:
        return os.path.getsize(item.uri)
    except OSError:
        return None


def _relative(path: str | Path, folder: Path) -> str:
    """A path as a configuration file in `folder` may name it: relative if it is below."""
    below = not is_uri(str(path)) and Path(path).is_relative_to(folder)
    return str(Path(path).relative_to(folder)) if below else str(path)


def _root(data: DataConfig, path: str) -> str:
    """The folder that paths in the manifest are relative to."""
    if data.source == "folders":
        return filesystem.remove_file_scheme(path)
    return filesystem.remove_file_scheme(data.root) if data.root else path.rpartition("/")[0]


def _manifest(items: Sequence[Item], decisions: Mapping[str, str], root: str, data: DataConfig) -> str:
    text, columns = io.StringIO(), COLUMNS | dict(data.fields)
    optional = {
        SPLIT: any(item.split for item in items),
        GROUP: any(item.group for item in items),
        WEIGHT: any(item.weight != 1 for item in items),
    }
    roles = [IMAGE, LABEL, *(role for role, is_used in optional.items() if is_used)]
    writer = csv.writer(text, lineterminator="\n")
    written = {tables.clean(columns[role]) for role in roles}
    further = [(number, name) for number, name in enumerate(data.slice_columns) if tables.clean(name) not in written]
    writer.writerow([*(columns[role] for role in roles), *(name for _, name in further)])
    for item in items:
        label = decisions.get(item.path, item.label)
        if label == LEAVE_OUT and item.path in decisions:
            continue
        cells = {IMAGE: _below(root, item.uri), LABEL: label, SPLIT: item.split, GROUP: item.group, WEIGHT: item.weight}
        values = item.columns or [""] * len(data.slice_columns)
        writer.writerow([*(cells[role] for role in roles), *(values[number] for number, _ in further)])
    content = text.getvalue()
    try:
        content.encode("utf-8")
    except UnicodeEncodeError:
        broken = next(item.path for item in items if not _is_utf8(item.uri))
        raise BadInputError(f"{broken!r}: the name is not UTF-8, so no manifest can name it; rename the file") from None
    return content


def _below(root: str, uri: str) -> str:
    prefix = root.rstrip("/") + "/"
    return uri.removeprefix(prefix) if is_uri(uri) or uri.startswith(prefix) else uri


def _is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
