"""The folder of a pipeline, below the workspace: artifacts, metadata, logs, pushed versions."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from config.errors import BadInputError
from config.section import refuse_pattern

if TYPE_CHECKING:
    from ml_metadata.proto import metadata_store_pb2

ARTIFACTS = "artifacts"
ADVICE_DAMAGED = (
    "restore it from a backup, or delete it: then runs start without a cache and a history, and pushed versions stay"
)
DEFAULT_WORKSPACE = "workspace"
_LOCK = ".lock"
_REFUSED = re.compile(r"[^0-9A-Za-z]+")
_TEMPORARY = "regraft-"  # at the start of the name of a folder for temporary files
_SQLITE_MAGIC = b"SQLite format 3\0"  # https://www.sqlite.org/fileformat.html


class RunFolder:
    """`<workspace>/<pipeline name>/`.

    | path              | what                                                              |
    |-------------------|-------------------------------------------------------------------|
    | `artifacts/`      | the output of every stage, by stage and execution                 |
    | `metadata.sqlite` | ML Metadata: inputs and outputs of every execution                |
    | `serving/`        | pushed versions, unless the configuration names another directory |
    | `logs/`           | one file a run                                                    |
    | `summary.json`    | of the last run that came to a verdict                            |
    | `report.html`     | the same run, for a person                                        |
    | `reports/`        | the reports of all runs                                           |
    | `rejected.jsonl`  | the images that stopped the last run; none if they did not        |
    | `training/`       | the state of an unfinished training, or of an unfinished search   |
    | `export_trial.txt`| which conversions were tried last, and passed                     |
    """

    def __init__(self, workspace: str | Path, pipeline_name: str):
        self.path = Path(workspace).resolve() / pipeline_name
        self.artifacts = self.path / ARTIFACTS
        self.metadata = self.path / "metadata.sqlite"
        self.serving = self.path / "serving"
        self.summary = self.path / "summary.json"
        self.report = self.path / "report.html"
        self.rejected = self.path / "rejected.jsonl"
        self.training_state = self.path / "training"

    def connection(self) -> metadata_store_pb2.ConnectionConfig:
        """Of the ML Metadata store, whose client waits while another program locks the database."""
        from ml_metadata.proto import metadata_store_pb2

        from pipeline import metadata_lock

        connection = metadata_store_pb2.ConnectionConfig()
        connection.sqlite.filename_uri = str(self.metadata)
        connection.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
        connection.retry_options.max_num_retries = metadata_lock.retries()
        return connection

    def remove_results(self) -> None:
        """Removes the summary and the report of the last run, so that nobody takes them for those of the next one."""
        for path in (self.summary, self.report):
            path.unlink(missing_ok=True)

    def report_of(self, run_id: str) -> Path:
        """The path of a run's report.

        Args:
          run_id: as ML Metadata has it, a time with characters that some file systems refuse.
        """
        return self.path / "reports" / f"{_REFUSED.sub('-', run_id)}.html"

    def new_log(self) -> Path:
        """The path of a new log file, named by the time in UTC; its folder is made."""
        folder = self.path / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{datetime.datetime.now(datetime.UTC):%Y%m%d-%H%M%SZ}-{os.getpid()}.log"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Held during a run; it is released when the process ends, for whatever reason.

        Raises:
          BadInputError: if another run of this pipeline is active, or TFX cannot use a folder of this name.
        """
        try:
            refuse_pattern(self.path)
        except ValueError as error:
            raise BadInputError(f"--workspace: {error}") from None
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = open(self.path / _LOCK, "w")  # noqa: SIM115  closed below
        except OSError as error:
            raise BadInputError(f"{display_path(self.path)}: the workspace cannot be used: {error.strerror}") from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise self.in_use_error() from None
            self._check_metadata()
            for left_over in self.path.glob(".*.tmp"):  # by modules.files.atomic_write, in a run that was killed
                left_over.unlink(missing_ok=True)
            yield

    def is_in_use(self) -> bool:
        """Whether a run of this pipeline is active."""
        try:
            with open(self.path / _LOCK) as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def in_use_error(self) -> BadInputError:
        """For a command that must not meet a run."""
        return BadInputError(
            f"{display_path(self.path)}: another run is using it; wait for that run, or use another workspace"
        )

    def _check_metadata(self) -> None:
        if self.metadata.exists() and self.metadata.stat().st_size:
            with self.metadata.open("rb") as file:
                if file.read(len(_SQLITE_MAGIC)) != _SQLITE_MAGIC:
                    raise BadInputError(f"{display_path(self.metadata)}: not a SQLite database; {ADVICE_DAMAGED}")


@contextlib.contextmanager
def temporary_files() -> Iterator[None]:
    """Temporary files go to a folder that is removed at the end, or by the next run if this one is killed.

    TensorFlow and TFX leave hundreds of them, such as the code of AutoGraph. The folder has a lock, which ends with the
    process, so that the next run knows which folders are left over.

    Raises:
      BadInputError: if the folder for temporary files has a name that they cannot use.
    """
    try:
        refuse_pattern(tempfile.gettempdir())
    except ValueError as error:
        raise BadInputError(f"TMPDIR: {error}") from None
    _remove_left_over(Path(tempfile.gettempdir()))
    before = os.environ.get("TMPDIR"), tempfile.tempdir
    with (
        tempfile.TemporaryDirectory(prefix=_TEMPORARY, ignore_cleanup_errors=True) as folder,
        open(Path(folder, _LOCK), "w") as lock,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        try:
            yield
        finally:
            variable, tempfile.tempdir = before
            del os.environ["TMPDIR"]
            if variable is not None:
                os.environ["TMPDIR"] = variable


def _remove_left_over(parent: Path) -> None:
    """Removes the temporary folders of this user's runs that were killed."""
    for lock in parent.glob(f"{_TEMPORARY}*/{_LOCK}"):
        try:
            if lock.stat(follow_symlinks=False).st_uid != os.getuid():
                continue
            with lock.open("r+") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock.parent, ignore_errors=True)
        except OSError:  # in use, or removed by another run
            continue


def display_path(path: str | Path) -> str:
    """A path for a person: relative if it is below the current folder."""
    absolute = Path(path).absolute()
    here = Path.cwd()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(absolute)
