"""The versions in a push destination: `python -m pipeline.models list|rollback|promote DIRECTORY`.

Versions count up and are never reused. What makes an earlier one current is a copy of it under the next number, since
TF Serving serves the highest; BaselineModel looks at the same.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import rich.box
import rich.table

from components.serving_directory import ServingDirectory, ServingError
from modules.errors import BadInputError
from pipeline import console
from pipeline.workspace import shown

OK, BAD_INPUT = 0, 2


def main(arguments: Sequence[str], terminal: TextIO | None = None) -> int:
    """Does what is asked for.

    Returns:
      the exit code: 0, or 2 if the directory doesn't have what it takes.
    """
    options = _parse(arguments)
    terminal = terminal or sys.stdout
    path = Path(options.directory)
    try:
        if not path.is_dir():
            raise BadInputError(f"{path}: a folder of numbered versions is expected; there is none")
        _COMMANDS[options.command](ServingDirectory(path), options, terminal)
    except BadInputError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    return OK


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.models", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="every version, the current one marked")
    rollback = commands.add_parser("rollback", help="make an earlier version current; runs don't push the other again")
    promote = commands.add_parser("promote", help="make a version current, of this folder or in another one")
    for command in (listing, rollback, promote):
        command.add_argument("directory", help="push.directory of the configuration, or <workspace>/<name>/serving")
    rollback.add_argument("--to", type=int, metavar="VERSION", help="default: the newest other model, not rolled back")
    promote.add_argument("version", type=int)
    promote.add_argument("--into", metavar="DIRECTORY", help="where it becomes current (default: here)")
    return parser.parse_args(arguments)


def _list(directory: ServingDirectory, options: argparse.Namespace, terminal: TextIO) -> None:
    versions = directory.versions()
    if not versions:
        raise ServingError(f"{directory.path}: no version has been pushed here")
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
    for heading in ("version", "pushed at", "accuracy on test", "parent", "model", "what it is"):
        table.add_column(heading)
    for version in versions:
        table.add_row(*_row(directory, version, current=version == versions[-1]))
    console.tables(terminal).print(table)


def _row(directory: ServingDirectory, version: int, current: bool) -> Iterator[str]:
    manifest: dict[str, Any] = directory.manifest(version)
    fingerprint = directory.fingerprint(version)
    yield str(version)
    yield manifest.get("pushed_at", "–")
    accuracy = manifest.get("test", {}).get("accuracy")
    yield "–" if accuracy is None else f"{accuracy:.2%} of {manifest['test']['examples']}"
    yield str(manifest.get("parent") or "–")
    yield fingerprint[:12]
    damage = directory.damage(version)
    said = _said(manifest, current, directory.withdrawn(fingerprint))
    yield ", ".join([*([f"DAMAGED: {damage}"] if damage else []), *said])


def _said(manifest: dict[str, Any], current: bool, withdrawn: int | None) -> Iterator[str]:
    if current:
        yield "current"
    if withdrawn is not None:
        yield "rolled back"
    if "rolled_back_from" in manifest:
        yield f"back from {manifest['rolled_back_from']}"
    if override := manifest.get("blessed_anyway"):
        yield f"NOT BLESSED, pushed by {override['by']}: {override['reason']}"
    if "promoted_from" in manifest:
        yield f"promoted from {shown(manifest['promoted_from'])}"
    if not manifest:
        yield "not pushed by Regraft"


def _rollback(directory: ServingDirectory, options: argparse.Namespace, terminal: TextIO) -> None:
    undone, version = directory.roll_back(options.to)
    print(f"version {undone} is rolled back; current is {shown(directory.path / str(version))}", file=terminal)


def _promote(directory: ServingDirectory, options: argparse.Namespace, terminal: TextIO) -> None:
    into = ServingDirectory(options.into) if options.into else directory
    version = into.promote(options.version, directory)
    print(f"current is {shown(into.path / str(version))}", file=terminal)


_COMMANDS = {"list": _list, "rollback": _rollback, "promote": _promote}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
