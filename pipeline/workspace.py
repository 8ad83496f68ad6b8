"""Where a run keeps its things: one folder a pipeline below the workspace."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from modules.errors import BadInputError

DEFAULT_WORKSPACE = "workspace"
_SQLITE_MAGIC = b"SQLite format 3\0"  # https://www.sqlite.org/fileformat.html


class RunFolder:
    """`<workspace>/<pipeline name>/`.

    | path              | what                                                              |
    |-------------------|-------------------------------------------------------------------|
    | `artifacts/`      | what every stage made, by stage and execution                     |
    | `metadata.sqlite` | ML Metadata: which execution made what from what                  |
    | `serving/`        | pushed versions, unless the configuration names another directory |
    | `logs/`           | one file a run                                                    |
    | `summary.json`    | of the last run that came to a verdict                            |
    | `training/`       | the state of an unfinished training, after its last whole epoch   |
    """

    def __init__(self, workspace: str | Path, pipeline_name: str):
        self.path = Path(workspace).resolve() / pipeline_name
        self.artifacts = self.path / "artifacts"
        self.metadata = self.path / "metadata.sqlite"
        self.serving = self.path / "serving"
        self.summary = self.path / "summary.json"
        self.training_state = self.path / "training"

    def new_log(self) -> Path:
        """A log file's path that no run had before; its folder is made."""
        folder = self.path / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{datetime.datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}.log"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Held for a run; goes with its process, however that ends.

        Raises:
          BadInputError: if another run of this pipeline is under way.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = open(self.path / ".lock", "w")  # noqa: SIM115  closed below
        except OSError as error:
            raise BadInputError(f"the workspace {shown(self.path)} can't be used: {error.strerror}") from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BadInputError(
                    f"another run is using {shown(self.path)}; wait for it, or use another workspace"
                ) from None
            self._check_metadata()
            yield

    def _check_metadata(self) -> None:
        if self.metadata.exists() and self.metadata.stat().st_size:
            with self.metadata.open("rb") as file:
                if file.read(len(_SQLITE_MAGIC)) != _SQLITE_MAGIC:
                    raise BadInputError(
                        f"{shown(self.metadata)} is no SQLite database any more; delete it to start afresh "
                        "(every stage runs again, pushed versions stay)"
                    )


@contextlib.contextmanager
def temporary_files() -> Iterator[None]:
    """While it lasts, temporary files go to a folder that is removed at its end.

    TensorFlow and TFX leave hundreds: the code of AutoGraph, wheels of user modules.
    """
    before = os.environ.get("TMPDIR"), tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="regraft-", ignore_cleanup_errors=True) as folder:
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        try:
            yield
        finally:
            variable, tempfile.tempdir = before
            del os.environ["TMPDIR"]
            if variable is not None:
                os.environ["TMPDIR"] = variable


def shown(path: str | Path) -> str:
    """A path as a person wants to read it: relative if it is below the current folder."""
    absolute = Path(path).absolute()
    here = Path.cwd()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(absolute)
