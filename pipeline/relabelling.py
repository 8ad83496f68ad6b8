"""Writes a manifest with the labels that a person has decided on: for `regraft relabel`."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from components.image_example_gen import sources
from components.image_example_gen.sources import filesystem, tables
from components.image_example_gen.sources.item import Item
from components.image_example_gen.sources.manifest import COLUMNS, GROUP, IMAGE, LABEL, SPLIT, WEIGHT
from components.label_check.results import DECISION
from config import loading
from config.data import DataConfig
from config.errors import BadInputError, ExitCode, did_you_mean
from config.section import is_uri, normalize_class_name
from modules.files import atomic_write
from pipeline.workspace import display_path

LEAVE_OUT = "-"  # as a decision
_FILE, _LABEL = "file", "label"


def relabel(suspects: str, config_path: str, output: str, terminal: TextIO) -> ExitCode:
    """Writes a manifest of all images of a configuration, with the decisions of a person; no image is changed.

    Args:
      suspects: a `suspects.csv` of the stage LabelCheck whose column `decision` a person has filled in.
      config_path: of the configuration file.
      output: the manifest, a `.csv` file that does not exist yet.
      terminal: where to print.

    Raises:
      BadInputError: if a decision names no class, or an image that the configuration does not have; if no decision is
        there; or if a manifest cannot describe these images.
      OSError: if a file cannot be read or written.
    """
    target = Path(output)
    if target.suffix.lower() != ".csv":
        raise BadInputError(f"--output: a name that ends with .csv is expected. Received: {output!r}")
    if target.exists():
        raise BadInputError(f"--output: {output}: exists already; name another file")
    data = loading.load(config_path).data
    if data.source not in ("folders", "manifest"):
        raise BadInputError(
            f"{config_path}: data.source: only images in folders and manifests can be relabelled. Received: "
            f"{data.source!r}"
        )
    source = sources.open_source(data.path, data.ingestion)
    items = [item for item in source.items() if item.uri]
    decisions = _decisions(suspects, items)
    root = _root(data, source.path)
    atomic_write(target, _manifest(items, decisions, root, COLUMNS | dict(data.fields)))
    left_out = sum(decision == LEAVE_OUT for decision in decisions.values())
    print(
        f"{display_path(target)}: {len(items) - left_out} images, {len(decisions) - left_out} of them with another "
        f"label; {left_out} left out",
        file=terminal,
    )
    print(
        f"to use it, set in the section data of {display_path(config_path)}: source: manifest, path: "
        f"{target.absolute()}, root: {root}",
        file=terminal,
    )
    return ExitCode.OK


def _decisions(path: str, items: Sequence[Item]) -> dict[str, str]:
    """Path of each image that a person has decided about, to its new label or LEAVE_OUT."""
    labels = {item.path: item.label for item in items}
    classes = sorted({label for label in labels.values() if label})
    found: dict[str, str] = {}
    for line, row in tables.read(path, Path(path).read_bytes(), (_FILE, _LABEL, DECISION)):
        cells = {tables.clean(name): str(cell or "") for name, cell in row.items()}
        if missing := [name for name in (_FILE, _LABEL, DECISION) if name not in cells]:
            raise BadInputError(
                f"{path}: there is no column {missing[0]!r}; use a suspects.csv of the stage LabelCheck"
            )
        file, decision = cells[_FILE], normalize_class_name(cells[DECISION])
        if not decision:
            continue
        if file not in labels:
            raise BadInputError(f"{path}: line {line}: {file}: is not among the images of the configuration")
        if normalize_class_name(cells[_LABEL]) != labels[file]:
            raise BadInputError(
                f"{path}: line {line}: {file}: has the label {labels[file]!r} now; use the suspects.csv of a newer run"
            )
        if decision not in (LEAVE_OUT, *classes):
            raise BadInputError(
                f"{path}: line {line}: {DECISION}: a class, or {LEAVE_OUT} to leave the image out, is expected"
                f"{did_you_mean(decision, classes)}. Received: {decision!r}"
            )
        if decision != labels[file]:
            found[file] = decision
    if not found:
        raise BadInputError(
            f"{path}: {DECISION}: changes no label; write the right class, or {LEAVE_OUT} to leave an image out"
        )
    return found


def _root(data: DataConfig, path: str) -> str:
    """The folder that paths in the manifest are relative to."""
    if data.source == "folders":
        return filesystem.remove_file_scheme(path)
    return filesystem.remove_file_scheme(data.root) if data.root else path.rpartition("/")[0]


def _manifest(items: Sequence[Item], decisions: Mapping[str, str], root: str, columns: Mapping[str, str]) -> str:
    text = io.StringIO()
    optional = {
        SPLIT: any(item.split for item in items),
        GROUP: any(item.group for item in items),
        WEIGHT: any(item.weight != 1 for item in items),
    }
    roles = [IMAGE, LABEL, *(role for role, is_used in optional.items() if is_used)]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([columns[role] for role in roles])
    for item in items:
        label = decisions.get(item.path, item.label)
        if label == LEAVE_OUT and item.path in decisions:
            continue
        cells = {IMAGE: _below(root, item.uri), LABEL: label, SPLIT: item.split, GROUP: item.group, WEIGHT: item.weight}
        writer.writerow([cells[role] for role in roles])
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
