"""The folder that TF Serving watches: numbered versions, each complete from the moment it can be seen.

Beside the versions stand `.regraft.json` (the folder's identity and the highest version ever pushed) and, while a push
is under way, `.pushing` and `.lock`; TF Serving ignores names that are no number. Within a version,
`assets.extra/regraft.json` is its manifest, in the place SavedModel reserves for a user's own files.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modules.fingerprints import fingerprint

_STATE = ".regraft.json"
_LOCK = ".lock"
_PUSHING = ".pushing"
MANIFEST = Path("assets.extra", "regraft.json")


def model_fingerprint(directory: str | Path) -> str:
    """SHA-256 over the paths and bytes of a SavedModel's files, hexadecimal; a manifest doesn't count."""
    return fingerprint(directory, without={MANIFEST})


class ServingDirectory:
    """A push destination on the local file system."""

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def versions(self) -> list[int]:
        """The versions that can be served, lowest first."""
        if not self.path.is_dir():
            return []
        return sorted(int(child.name) for child in self.path.iterdir() if child.name.isdecimal() and child.is_dir())

    def manifest(self, version: int) -> dict[str, Any]:
        """What was recorded when the version was pushed; empty for a version that Regraft didn't push."""
        path = self.path / str(version) / MANIFEST
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    def standing(self, candidate: str) -> int | None:
        """The newest version, if it is the very model with the fingerprint `candidate`."""
        newest = self.versions()[-1:]
        return newest[0] if newest and self.manifest(newest[0]).get("fingerprint") == candidate else None

    def baseline(self, candidate: str) -> int | None:
        """The version a candidate must hold its own against: the newest that hasn't its fingerprint."""
        versions = self.versions()
        if self.standing(candidate) is not None:
            versions.pop()
        return versions[-1] if versions else None

    def next_version(self) -> int:
        """One more than any version that is or ever was here."""
        return max([self._state().get("last_version", 0), *self.versions()]) + 1

    def identity(self) -> str:
        """Names this folder for good; a folder that was deleted and made again is another one.

        Makes the folder if it is missing.
        """
        if "identity" not in self._state():
            self.path.mkdir(parents=True, exist_ok=True)
            with self._locked():
                if "identity" not in self._state():
                    self._write_state({**self._state(), "identity": uuid.uuid4().hex})
        return self._state()["identity"]

    def push(self, model: str | Path, manifest: dict[str, Any]) -> int:
        """Copies a SavedModel in under the next version; seen by a server only when complete, and on disk.

        Args:
          model: the SavedModel's folder.
          manifest: what to record with it.

        Returns:
          the version.

        Raises:
          OSError: if it can't be written; then no version has appeared.
        """
        self.identity()
        with self._locked():
            pushing = self.path / _PUSHING
            shutil.rmtree(pushing, ignore_errors=True)  # what a push left that was killed
            shutil.copytree(model, pushing)
            version = self.next_version()
            manifest = {"version": version, "fingerprint": model_fingerprint(model), **manifest}
            (pushing / MANIFEST).parent.mkdir(exist_ok=True)
            (pushing / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
            _sync_tree(pushing)
            pushing.rename(self.path / str(version))
            _sync(self.path)
            self._write_state({**self._state(), "last_version": version})
        return version

    def _state(self) -> dict[str, Any]:
        path = self.path / _STATE
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    def _write_state(self, state: dict[str, Any]) -> None:
        temporary = self.path / f"{_STATE}.tmp"
        temporary.write_text(json.dumps(state) + "\n", encoding="utf-8")
        _sync(temporary)
        temporary.replace(self.path / _STATE)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One push at a time; the lock goes with the process that holds it."""
        with open(self.path / _LOCK, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_tree(root: Path) -> None:
    for path in (*root.rglob("*"), root):
        _sync(path)
