"""The folder that TF Serving watches: numbered versions, each complete from the moment it can be seen.

TF Serving serves the highest number, so that is the current version; what makes an earlier one current is a copy of it
under the next number. Beside the versions stand `.regraft.json` (see `_STATE`) and, while a push is under way,
`.pushing` and `.lock`; TF Serving ignores names that are no number. Within a version, `assets.extra/regraft.json` is
its manifest, in the place SavedModel reserves for a user's own files; beside it, what its data was like.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules.errors import BadInputError
from modules.fingerprints import fingerprint

_STATE = ".regraft.json"  # `identity`, `last_version`: the highest ever; `withdrawn`: fingerprint to version
_LOCK = ".lock"
_PUSHING = ".pushing"
_REMOVING = ".removing"
MANIFEST = Path("assets.extra", "regraft.json")
STATISTICS, SCHEMA = Path("assets.extra", "data_statistics.pb"), Path("assets.extra", "data_schema.pbtxt")


def model_fingerprint(directory: str | Path) -> str:
    """SHA-256 over the paths and bytes of a SavedModel's files, hexadecimal, without what was added on pushing."""
    return fingerprint(directory, without={MANIFEST, STATISTICS, SCHEMA})


@dataclass(frozen=True)
class DataRecord:
    """Files on what a version was trained on: the facts' statistics of its training split, and their schema."""

    statistics: Path
    schema: Path


class ServingError(BadInputError):
    """What is asked of a serving directory can't be done with the versions that it has."""


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
        """The version a candidate must hold its own against: the newest that isn't the candidate, nor rolled back."""
        not_these = {candidate, *self._state().get("withdrawn", {})}
        return next((v for v in reversed(self.versions()) if self.fingerprint(v) not in not_these), None)

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

    def withdrawn(self, candidate: str) -> int | None:
        """The version that was rolled back and is the very model with the fingerprint `candidate`."""
        return self._state().get("withdrawn", {}).get(candidate)

    def data_of_current(self) -> DataRecord | None:
        """What the version in production was trained on; None if there is none, or it doesn't say."""
        for version in self.versions()[-1:]:
            record = DataRecord(self.path / str(version) / STATISTICS, self.path / str(version) / SCHEMA)
            if record.statistics.is_file() and record.schema.is_file():
                return record
        return None

    def push(
        self, model: str | Path, manifest: dict[str, Any], keep: int | None = None, data: DataRecord | None = None
    ) -> int:
        """Copies a SavedModel in under the next version; seen by a server only when complete, and on disk.

        Args:
          model: the SavedModel's folder.
          manifest: what to record with it; `pushed_at` is added.
          keep: how many versions, the new one among them, stay; None: all.
          data: copied in with it.

        Returns:
          the version.

        Raises:
          OSError: if it can't be written; then no version has appeared.
        """
        self.identity()
        with self._locked():
            version = self._put(model, manifest, data)
            for old in self.versions()[: -keep if keep else 0]:
                self._remove(old)
        return version

    def roll_back(self, to: int | None = None) -> tuple[int, int]:
        """Makes an earlier version current, and sees to it that the one that was is not pushed again by a run.

        Args:
          to: the version; None: the newest that is another model than the current one, and was not rolled back itself.

        Returns:
          the version that was current, and the new one, a copy of the earlier.

        Raises:
          ServingError: if there is no such version, it is the current one, or its files are damaged.
        """
        with self._locked():
            current = self._current()
            chosen = self._before(current) if to is None else self._existing(to)
            self._check_whole(chosen)
            undone = self.fingerprint(current)
            if self.fingerprint(chosen) == undone:
                raise ServingError(f"{self.path}: version {chosen} is the very model of the current version {current}")
            version = self._put(self.path / str(chosen), {**self._inherited(chosen), "rolled_back_from": current})
            withdrawn = {**self._state().get("withdrawn", {}), undone: current}
            withdrawn.pop(self.fingerprint(chosen), None)
            self._write_state({**self._state(), "withdrawn": withdrawn})
        return current, version

    def promote(self, version: int, source: ServingDirectory | None = None) -> int:
        """Makes a version current, of this folder or another, whether it was rolled back or not.

        Args:
          version: which.
          source: the folder that has it; None: this one.

        Returns:
          the new version, a copy of it.

        Raises:
          ServingError: if there is no such version, it is the current one, or its files are damaged.
        """
        source = source or self
        model = source.path / str(source._existing(version))
        source._check_whole(version)
        if self.path.exists() and not self.path.is_dir():
            raise ServingError(f"{self.path}: a folder is expected; this is a file")
        self.identity()
        with self._locked():
            promoted = source.fingerprint(version)
            standing = self.standing(promoted)
            if standing is not None and self.damage(standing) is None:
                raise ServingError(f"{self.path}: version {self._current()} is this model, and current")
            new = self._put(model, {**source._inherited(version), "promoted_from": str(model)})
            withdrawn = {key: value for key, value in self._state().get("withdrawn", {}).items() if key != promoted}
            self._write_state({**self._state(), "withdrawn": withdrawn})
        return new

    def damage(self, version: int) -> str | None:
        """What is wrong with a version's files; None if they are those that were pushed, as far as can be known."""
        model = self.path / str(version)
        if not (model / "saved_model.pb").is_file():
            return "it has no saved_model.pb"
        pushed = self.manifest(version).get("fingerprint")
        if pushed and model_fingerprint(model) != pushed:
            return "its files are not those that were pushed"
        return None

    def check_in_production(self, version: int) -> None:
        """Raises ServingError if nothing can be held against this version."""
        if damage := self.damage(version):
            raise ServingError(
                f"{self.path / str(version)}: is in production, but {damage}; no candidate can be held against it. "
                "Restore it, promote an intact version (python -m pipeline.models promote), or remove the folder"
            )

    def _check_whole(self, version: int) -> None:
        if damage := self.damage(version):
            raise ServingError(f"{self.path / str(version)}: can't be made current: {damage}")

    def fingerprint(self, version: int) -> str:
        """Of a version's model; computed for a version that Regraft didn't push."""
        return self.manifest(version).get("fingerprint") or model_fingerprint(self.path / str(version))

    def _put(self, model: str | Path, manifest: dict[str, Any], data: DataRecord | None = None) -> int:
        pushing = self.path / _PUSHING
        shutil.rmtree(pushing, ignore_errors=True)  # what a push left that was killed
        shutil.copytree(model, pushing)
        version = self.next_version()
        pushed_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        about = {"version": version, "fingerprint": model_fingerprint(model), "pushed_at": pushed_at, **manifest}
        (pushing / MANIFEST).parent.mkdir(exist_ok=True)
        (pushing / MANIFEST).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        if data:
            shutil.copyfile(data.statistics, pushing / STATISTICS)
            shutil.copyfile(data.schema, pushing / SCHEMA)
        _sync_tree(pushing)
        pushing.rename(self.path / str(version))
        _sync(self.path)
        self._write_state({**self._state(), "last_version": version})
        return version

    def _remove(self, version: int) -> None:
        """Out of a server's sight at once, then from the disk."""
        removing = self.path / _REMOVING
        shutil.rmtree(removing, ignore_errors=True)
        (self.path / str(version)).rename(removing)
        shutil.rmtree(removing)

    def _inherited(self, version: int) -> dict[str, Any]:
        """Of a version's manifest, what is as true of a copy."""
        own = ("version", "fingerprint", "pushed_at", "rolled_back_from", "promoted_from")
        return {key: value for key, value in self.manifest(version).items() if key not in own}

    def _current(self) -> int:
        if not self.versions():
            raise ServingError(f"{self.path}: no version has been pushed here")
        return self.versions()[-1]

    def _existing(self, version: int) -> int:
        if version not in self.versions():
            found = ", ".join(map(str, self.versions())) or "none"
            raise ServingError(f"{self.path}: versions here are {found}. Received: {version}")
        return version

    def _before(self, current: int) -> int:
        not_these = {self.fingerprint(current), *self._state().get("withdrawn", {})}
        for version in reversed(self.versions()):
            if self.fingerprint(version) not in not_these:
                return version
        raise ServingError(
            f"{self.path}: there is no other model than that of version {current} to go back to, but what was rolled "
            "back itself; --to may name that"
        )

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
