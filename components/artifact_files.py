"""The files of an artifact: recorded when a stage has written them, and compared before another stage reads them.

TFX's cache, and Kubeflow's, look no further than the artifact's folder. Without a record, a stage would take what is
left of a damaged artifact for the whole.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from config.errors import BadInputError

PROPERTY = "files"  # the custom property of an artifact that holds its record
DIGEST_PROPERTY = "files_digest"  # the same on Kubeflow Pipelines, where the property holds only the record's digest
_HIDDEN = "."

if TYPE_CHECKING:
    from tfx import types


class DamagedArtifactError(BadInputError):
    """The files of an artifact are not those that were recorded."""


@dataclass(frozen=True)
class FileRecord:
    """One file: bytes, time of the last change in nanoseconds, SHA-256 of the content in hexadecimal digits."""

    size: int
    modified: int
    sha256: str


def record(folder: str | Path) -> str:
    """The files below a folder as JSON: relative path to the values of `FileRecord`.

    Args:
      folder: of an artifact, on the local file system; one that does not exist has no files.
    """
    files = {
        path: (status.st_size, status.st_mtime_ns, _sha256(folder, path)) for path, status in _files(folder).items()
    }
    return json.dumps(files, sort_keys=True)


def digest(recorded: str) -> str:
    """SHA-256 of the paths and contents in a record. Where the folder is, and when it was written, does not count."""
    files = sorted((path, file.sha256) for path, file in _parsed(recorded).items())
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()


def recorded_digest(artifact: types.Artifact) -> str:
    """The digest of the files that a stage wrote; empty if there is no record of them."""
    if recorded := artifact.get_string_custom_property(PROPERTY):
        return digest(recorded)
    return artifact.get_string_custom_property(DIGEST_PROPERTY) or ""


def damage(folder: str | Path, recorded: str, read_all: bool = False) -> str:
    """How the files below a folder differ from a record, in words; empty if they do not.

    A file with the recorded size and time is taken for unchanged; any other is read. Further files count if a stage
    could take them for its input: hidden ones do not.

    Args:
      folder: of the artifact.
      recorded: what `record` gave.
      read_all: whether all files are read. A failing disk changes bytes, but neither size nor time.
    """
    expected, found = _parsed(recorded), _files(folder)
    missing = [path for path in expected if path not in found]
    changed = [
        path
        for path, file in expected.items()
        if (status := found.get(path)) is not None
        and (
            status.st_size != file.size
            or ((read_all or status.st_mtime_ns != file.modified) and _differs(folder, path, file))
        )
    ]
    added = [path for path in found if path not in expected and not Path(path).name.startswith(_HIDDEN)]
    parts = (
        _counted(missing, "is missing", "are missing"),
        _counted(changed, "has changed", "have changed"),
        _counted(added, "was added", "were added"),
    )
    return ", ".join(part for part in parts if part)


def _parsed(recorded: str) -> Mapping[str, FileRecord]:
    return {path: FileRecord(*values) for path, values in json.loads(recorded).items()}


def _files(folder: str | Path) -> dict[str, os.stat_result]:
    root = Path(folder)
    return {path.relative_to(root).as_posix(): path.stat() for path in sorted(root.rglob("*")) if path.is_file()}


def _sha256(folder: str | Path, path: str) -> str:
    with Path(folder, path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _differs(folder: str | Path, path: str, file: FileRecord) -> bool:
    return _sha256(folder, path) != file.sha256


def _counted(paths: list[str], one: str, several: str) -> str:
    if not paths:
        return ""
    return f"1 file {one} ({paths[0]})" if len(paths) == 1 else f"{len(paths)} files {several} ({paths[0]}, …)"
