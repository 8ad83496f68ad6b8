"""The push directory, which TF Serving watches: numbered versions, each of which appears when it is complete.

TF Serving serves the highest number, so that is the current version. An earlier version is made current by a copy of it
under the next number. A name may have leading zeros (`00000123` is version 123), as other programs write them; Regraft
writes none. Beside the versions there are `.regraft.json` (see `_STATE`) and, during a push, `.pushing` and `.lock`; TF
Serving ignores names that are not numbers. In a version, `assets.extra/regraft.json` is its manifest; SavedModel
reserves that folder for a user's own files. The statistics and schema of its training data, the model card and the
exports are beside it.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components import version_files, version_names
from components.version_files import (
    EXPORTS,
    MANIFEST,
    SCHEMA,
    STATISTICS,
    ServingError,
    damage_of,
    model_fingerprint,
    read_manifest,
)
from modules.files import atomic_write
from modules.serving import WARM_UP_FILE

# `identity`; `last_version`: the highest number ever used; `withdrawn`: the fingerprint of each model that was rolled
# back, and the version that it was. The names are those of earlier releases.
_STATE = ".regraft.json"
_LOCK = ".lock"
_PUSHING = ".pushing"
_REMOVING = ".removing"


MoreFiles = Callable[[Mapping[str, Any]], Mapping[Path, str]]


@dataclass(frozen=True)
class DataRecord:
    """Files about the data that a version was trained on: statistics of its training split, and their schema."""

    statistics: Path
    schema: Path


class ServingDirectory:
    """A push directory on the local file system."""

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def versions(self) -> list[int]:
        """The versions that can be served, lowest first."""
        return sorted(version_names.folders(self.path))

    def folder(self, version: int) -> Path:
        """The folder of a version, under the name that it has."""
        return version_names.folders(self.path).get(version, self.path / str(version))

    def manifest(self, version: int) -> dict[str, Any]:
        """What was recorded when the version was pushed; see `read_manifest`."""
        return read_manifest(self.folder(version))

    def current_version_of(self, candidate: str) -> int | None:
        """The current version, if its model has the fingerprint `candidate`; None otherwise."""
        newest = self.versions()[-1:]
        return newest[0] if newest and self.manifest(newest[0]).get("fingerprint") == candidate else None

    def baseline(self, candidate: str) -> int | None:
        """The version that a candidate is compared with: the newest one of another model that was not rolled back.

        Args:
          candidate: fingerprint of the candidate's model.

        Returns:
          the version; None if there is none.
        """
        return self._newest_without({candidate, *self._rolled_back()})

    def next_version(self) -> int:
        """The highest version that there is or ever was, plus 1.

        Raises:
          ServingError: if TF Serving has no higher number.
        """
        highest = max([self._state().get("last_version", 0), *version_names.numbers(self.path)])
        if highest >= version_names.HIGHEST:
            raise ServingError(f"{self.path}: no version can follow {highest}; remove or rename that version")
        return highest + 1

    def identity(self) -> str:
        """An id of this folder that never changes. A folder that was deleted and made again has another one.

        Makes the folder if it is missing.
        """
        if "identity" not in self._state():
            self.path.mkdir(parents=True, exist_ok=True)
            with self._locked():
                if "identity" not in self._state():
                    self._write_state({**self._state(), "identity": uuid.uuid4().hex})
        return self._state()["identity"]

    def rolled_back_version_of(self, candidate: str) -> int | None:
        """The version that was rolled back and whose model has the fingerprint `candidate`; None if there is none."""
        return self._rolled_back().get(candidate)

    def is_rolled_back(self, version: int) -> bool:
        """Whether the model of a version is rolled back; also of a version that is not in the folder any more."""
        rolled_back = self._rolled_back()
        return version in rolled_back.values() or self.manifest(version).get("fingerprint") in rolled_back

    def is_same_folder(self, identity: str) -> bool:
        """Whether `identity` gave this id: the folder was not deleted and made again since."""
        return self._state().get("identity") == identity

    def data_of_current(self) -> DataRecord | None:
        """The data that the current version was trained on; None if there is no version, or it has no such files."""
        for version in self.versions()[-1:]:
            record = DataRecord(self.folder(version) / STATISTICS, self.folder(version) / SCHEMA)
            if record.statistics.is_file() and record.schema.is_file():
                return record
        return None

    def push(
        self,
        model: str | Path,
        manifest: dict[str, Any],
        keep: int | None = None,
        data: DataRecord | None = None,
        warm_up: bool = True,
        more_files: MoreFiles = lambda manifest: {},
        exports: Path | None = None,
    ) -> int:
        """Copies a SavedModel as the next version. A server sees it when it is complete and on the disk.

        Args:
          model: the SavedModel's folder.
          manifest: what to record about it; `version`, `fingerprint` and `pushed_at` are added.
          keep: how many versions stay, including the new one; None: all.
          data: files to copy with it.
          warm_up: whether its warm-up requests are copied.
          more_files: makes texts of the complete manifest, by their paths in the version's folder.
          exports: a folder of exports to copy with it; None for none.

        Returns:
          the version.

        Raises:
          OSError: if it cannot be written; then there is no new version.
        """
        self.identity()
        with self._locked():
            version = self._put(model, manifest, data, warm_up, more_files, exports)
            for old in self.versions()[: -keep if keep else 0]:
                self._remove(old)
        return version

    def remove_incomplete(self) -> None:
        """Deletes what a push left that was killed. It waits for a push that is under way."""
        if any((self.path / name).exists() for name in (_PUSHING, _REMOVING)):
            with self._locked():
                for name in (_PUSHING, _REMOVING):
                    shutil.rmtree(self.path / name, ignore_errors=True)

    def roll_back(self, to: int | None = None) -> tuple[int, int]:
        """Makes an earlier version current, and records the one that was, so that no run pushes it again.

        Args:
          to: the version; None: the newest one of another model that was not rolled back itself.

        Returns:
          the version that was current, and the new one, which is a copy of the earlier one.

        Raises:
          ServingError: if there is no such version, it is the current one, or its files are damaged.
        """
        with self._locked():
            current = self._current()
            chosen = self._before(current) if to is None else self._existing(to)
            self._check_intact(chosen)
            undone = self.fingerprint(current)
            if self.fingerprint(chosen) == undone:
                raise ServingError(
                    f"{self.path}: version {chosen} has the same model as the current version {current}; name another "
                    "version"
                )
            version = self._put(self.folder(chosen), {**self._inherited(chosen), "rolled_back_from": current})
            rolled_back = {**self._rolled_back(), undone: current}
            rolled_back.pop(self.fingerprint(chosen), None)
            self._write_state({**self._state(), "withdrawn": rolled_back})
        return current, version

    def promote(self, version: int, source: ServingDirectory | None = None) -> int:
        """Makes a version of this folder or another one current, whether it was rolled back or not.

        Args:
          version: which.
          source: the folder that has it; None: this one.

        Returns:
          the new version, which is a copy of it.

        Raises:
          ServingError: if there is no such version, it is the current one, or its files are damaged.
        """
        source = source or self
        model = source.folder(source._existing(version))
        source._check_intact(version)
        if self.path.exists() and not self.path.is_dir():
            raise ServingError(f"{self.path}: this is a file; name a folder")
        self.identity()
        with self._locked():
            promoted = source.fingerprint(version)
            current = self.current_version_of(promoted)
            if current is not None and self.damage(current) is None:
                raise ServingError(f"{self.path}: the current version {current} has this model already")
            new = self._put(model, {**source._inherited(version), "promoted_from": str(model)})
            rolled_back = {key: value for key, value in self._rolled_back().items() if key != promoted}
            self._write_state({**self._state(), "withdrawn": rolled_back})
        return new

    def damage(self, version: int) -> str | None:
        """What is wrong with a version's files; None if nothing is known to be wrong."""
        return damage_of(self.folder(version))

    def check_in_production(self, version: int) -> None:
        """Checks the files of the version in production.

        Raises:
          ServingError: if they are damaged, so that no candidate can be compared with the version.
        """
        if damage := self.damage(version):
            raise ServingError(
                f"{self.folder(version)}: this version is in production, but {damage}; restore it, promote an "
                f"intact version with `regraft versions promote {self.path} VERSION`, or remove the folder"
            )

    def check_names(self) -> None:
        """Checks that TF Serving serves the version that is current here, and that another one can follow.

        Raises:
          ServingError: with the name that it may take for a version, or for another version.
        """
        if problems := version_names.problems(self.path):
            raise ServingError(problems[0])
        self.next_version()

    def _check_intact(self, version: int) -> None:
        if damage := self.damage(version):
            raise ServingError(
                f"{self.folder(version)}: this version cannot be made current, because {damage}; name another one"
            )

    def fingerprint(self, version: int) -> str:
        """The fingerprint of a version's model; computed for a version that Regraft did not push."""
        return self.manifest(version).get("fingerprint") or model_fingerprint(self.folder(version))

    def _put(
        self,
        model: str | Path,
        manifest: dict[str, Any],
        data: DataRecord | None = None,
        warm_up: bool = True,
        more_files: MoreFiles = lambda manifest: {},
        exports: Path | None = None,
    ) -> int:
        version = self.next_version()
        pushing = self.path / _PUSHING
        for left in (pushing, self.path / _REMOVING):  # by a push that was killed
            _delete(left)
        try:
            shutil.copytree(model, pushing)
            if exports:
                shutil.copytree(exports, pushing / EXPORTS)
            if not warm_up:
                (pushing / WARM_UP_FILE).unlink(missing_ok=True)
            self._complete(pushing, model, {"version": version, **manifest}, data, more_files)
        except BaseException:
            _delete(pushing)  # it may be what fills the disk
            raise
        pushing.rename(self.path / str(version))
        _sync(self.path)
        self._write_state({**self._state(), "last_version": version})
        return version

    @staticmethod
    def _complete(
        folder: Path, model: str | Path, manifest: dict[str, Any], data: DataRecord | None, more_files: MoreFiles
    ) -> None:
        """Adds what a push adds to a copy of a model, and lets all of it reach the disk."""
        pushed_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        complete = {"fingerprint": model_fingerprint(model), "pushed_at": pushed_at, **manifest}
        (folder / MANIFEST).parent.mkdir(exist_ok=True)
        (folder / MANIFEST).write_text(json.dumps(complete, indent=2) + "\n", encoding="utf-8")
        if data:
            shutil.copyfile(data.statistics, folder / STATISTICS)
            shutil.copyfile(data.schema, folder / SCHEMA)
        for path, content in more_files(complete).items():
            (folder / path).write_text(content, encoding="utf-8")
        _sync_tree(folder)

    def _remove(self, version: int) -> None:
        """Hides a version from servers at once, then deletes its files."""
        removing = self.path / _REMOVING
        _delete(removing)
        self.folder(version).rename(removing)
        _delete(removing)

    def _inherited(self, version: int) -> dict[str, Any]:
        """The part of a version's manifest that is true of a copy too."""
        own = ("version", "fingerprint", "pushed_at", "rolled_back_from", "promoted_from")
        return {key: value for key, value in self.manifest(version).items() if key not in own}

    def _current(self) -> int:
        if not self.versions():
            raise ServingError(f"{self.path}: this folder has no versions; push one first")
        return self.versions()[-1]

    def _existing(self, version: int) -> int:
        if version not in self.versions():
            versions = ", ".join(self.folder(one).name for one in self.versions()) or "none"
            raise ServingError(f"{self.path}: the versions in this folder are {versions}. Received: {version}")
        return version

    def _before(self, current: int) -> int:
        version = self._newest_without({self.fingerprint(current), *self._rolled_back()})
        if version is None:
            raise ServingError(
                f"{self.path}: there is no model before version {current} that was not rolled back itself; name a "
                "version with --to"
            )
        return version

    def _newest_without(self, fingerprints: Collection[str]) -> int | None:
        return next((v for v in reversed(self.versions()) if self.fingerprint(v) not in fingerprints), None)

    def _rolled_back(self) -> dict[str, int]:
        """Fingerprint to version of each model that was rolled back."""
        return self._state().get("withdrawn", {})

    def _state(self) -> dict[str, Any]:
        advice = "restore it, or delete it (then runs may push models again that were rolled back)"
        return version_files.read_json(self.path / _STATE, advice)

    def _write_state(self, state: dict[str, Any]) -> None:
        atomic_write(self.path / _STATE, json.dumps(state) + "\n", durable=True)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Allows one push at a time. The lock ends with the process that holds it."""
        with open(self.path / _LOCK, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _delete(path: Path) -> None:
    """Deletes a folder if there is one, or a symbolic link to a folder; what the link points to stays."""
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_tree(root: Path) -> None:
    for path in (*root.rglob("*"), root):
        _sync(path)
