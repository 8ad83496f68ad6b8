"""The versions in a push directory: for `regraft versions`.

Version numbers count up and are never reused. An earlier version is made current by a copy of it under the next number,
since TF Serving serves the highest number, and BaselineModel compares with the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import rich.box
import rich.table

from components import version_names
from components.serving_directory import ServingDirectory, ServingError
from config.errors import BadInputError
from config.serving import check_is_local
from pipeline import console
from pipeline.workspace import display_path

HEADINGS = ("version", "pushed at", "accuracy on test", "parent", "model", "remarks")


def opened(directory: str | Path) -> ServingDirectory:
    """A push directory.

    Raises:
      BadInputError: if there is no such folder on the local file system.
    """
    check_is_local(str(directory))
    if not Path(directory).is_dir():
        raise BadInputError(f"{directory}: there is no such folder; a folder of numbered versions is expected")
    return ServingDirectory(Path(directory))


def print_versions(directory: ServingDirectory, terminal: TextIO) -> None:
    """Prints one line per version.

    Raises:
      ServingError: if there is none.
    """
    versions = directory.versions()
    if not versions:
        raise ServingError(f"{directory.path}: no version has been pushed here")
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
    for heading in HEADINGS:
        table.add_column(heading)
    for row in rows(directory):
        table.add_row(*row)
    console.tables(terminal).print(table)
    for problem in version_names.problems(directory.path):
        print(f"warning: {problem}", file=terminal)


def rows(directory: ServingDirectory) -> Iterator[tuple[str, ...]]:
    """What is known of each version in words, under `HEADINGS`, the lowest first."""
    versions = directory.versions()
    for version in versions:
        yield tuple(_row(directory, version, is_current=version == versions[-1]))


def since_push(directory: ServingDirectory, version: int) -> Iterator[str]:
    """What was done with the model of a pushed version since, in words: made current again, or rolled back.

    Raises:
      ServingError: if a file of the directory is damaged.
    """
    fingerprint = directory.manifest(version).get("fingerprint")
    for later in (one for one in directory.versions() if one > version and fingerprint):
        manifest = directory.manifest(later)
        if manifest.get("fingerprint") == fingerprint and "promoted_from" in manifest:
            yield f"promoted as version {later}"
        elif manifest.get("fingerprint") == fingerprint and "rolled_back_from" in manifest:
            yield f"restored as version {later}"
    if directory.is_rolled_back(version):
        yield "rolled back"


def roll_back(directory: ServingDirectory, to: int | None, terminal: TextIO) -> None:
    """Makes an earlier version current; runs do not push the other one again.

    Args:
      directory: of the versions.
      to: which; None: the newest other model that was not rolled back itself.
      terminal: where to print.
    """
    undone, version = directory.roll_back(to)
    current = display_path(directory.folder(version))
    print(f"version {undone} is rolled back; the current version is {current}", file=terminal)


def promote(directory: ServingDirectory, version: int, into: ServingDirectory, terminal: TextIO) -> None:
    """Makes a version current, in this directory or in another one.

    Args:
      directory: that has the version.
      version: which.
      into: where it becomes current.
      terminal: where to print.
    """
    new = into.promote(version, directory)
    print(f"the current version is {display_path(into.folder(new))}", file=terminal)


def _row(directory: ServingDirectory, version: int, is_current: bool) -> Iterator[str]:
    yield directory.folder(version).name
    damage = directory.damage(version)
    try:
        manifest: dict[str, Any] = directory.manifest(version)
    except ServingError:
        yield from ("–", "–", "–", "–", f"DAMAGED: {damage}")
        return
    fingerprint = directory.fingerprint(version)
    yield manifest.get("pushed_at", "–")
    accuracy = manifest.get("test", {}).get("accuracy")
    yield "–" if accuracy is None else f"{accuracy:.2%} of {manifest['test']['examples']}"
    yield str(manifest.get("parent") or "–")
    yield fingerprint[:12]
    remarks = _remarks(manifest, is_current, directory.rolled_back_version_of(fingerprint))
    yield ", ".join([*([f"DAMAGED: {damage}"] if damage else []), *remarks])


def _remarks(manifest: dict[str, Any], is_current: bool, rolled_back: int | None) -> Iterator[str]:
    if is_current:
        yield "current"
    if rolled_back is not None:
        yield "rolled back"
    if "rolled_back_from" in manifest:
        yield f"restored when version {manifest['rolled_back_from']} was rolled back"
    if override := manifest.get("blessed_anyway"):
        yield f"NOT BLESSED, pushed by {override['by']}: {override['reason']}"
    if "promoted_from" in manifest:
        yield f"promoted from {display_path(manifest['promoted_from'])}"
    if not manifest:
        yield "not pushed by Regraft"
