"""Opens the metadata of a pipeline for `history`, `explain` and `clean`; if that fails, a sentence says why."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from ml_metadata import errors, metadata_store
from ml_metadata.proto import metadata_store_pb2

from config.errors import BadInputError
from pipeline import metadata_lock, system_errors, worker_errors
from pipeline.workspace import ADVICE_DAMAGED, RunFolder, display_path

PATIENCE_SECONDS = 60.0  # a person waits for the answer
_GRACE_SECONDS = 1.0  # an active run locks the database for some milliseconds at a time
_TABLE = "MLMDEnv"  # with the version of the schema; every database of ML Metadata has it
_MODE = metadata_store_pb2.SqliteMetadataSourceConfig


def folder_of(path: str | Path) -> RunFolder:
    """The folder of a pipeline, `<workspace>/<pipeline name>`, or a link to it; copies may have any name.

    Raises:
      BadInputError: if it holds no runs.
    """
    resolved = Path(path).resolve()
    folder = RunFolder(resolved.parent, resolved.name)
    if not folder.metadata.is_file():
        raise BadInputError(f"{display_path(path)}: no runs here; name a folder <workspace>/<pipeline name>")
    return folder


@contextlib.contextmanager
def opened(folder: RunFolder, to_write: bool = False) -> Iterator[metadata_store.MetadataStore]:
    """The pipeline's ML Metadata store; no schema is made, and without `to_write` nothing can change the file.

    Another program may lock the database; the wait for it, of PATIENCE_SECONDS at most, is reported on stderr.

    Args:
      folder: of the pipeline.
      to_write: whether the store is changed.

    Raises:
      BadInputError: if the file is empty, damaged or no database of ML Metadata.
      MetadataLockedError: if another program locks the database for too long.
      MetadataError: if ML Metadata fails for another reason; the message says why.
    """
    database = folder.metadata
    metadata_lock.wait(database, PATIENCE_SECONDS, to_write, grace=_GRACE_SECONDS, report=_on_stderr)
    _refuse_damaged(database)
    connection = folder.connection()
    connection.sqlite.connection_mode = _MODE.READWRITE if to_write else _MODE.READONLY
    connection.retry_options.max_num_retries = metadata_lock.retries(PATIENCE_SECONDS)
    try:
        yield metadata_store.MetadataStore(connection)
    except (errors.StatusError, RuntimeError) as error:  # a store that cannot be opened is a RuntimeError
        if metadata_lock.is_locked(database, to_write):
            raise metadata_lock.MetadataLockedError(metadata_lock.sentence(database)) from error
        message = worker_errors.failure(error, [folder.path], database).message
        raise metadata_lock.MetadataError(f"{display_path(database)}: {message}") from error


def _refuse_damaged(database: Path) -> None:
    with database.open("rb") as file:  # an error of permissions names the file
        if not file.read(1):
            raise BadInputError(f"{display_path(database)}: the file is empty; {ADVICE_DAMAGED}")
    try:
        with contextlib.closing(sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True)) as connection:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master")]
    except sqlite3.DatabaseError as error:
        text = f"{type(error).__name__}: {error}"
        if isinstance(error, sqlite3.OperationalError):
            message = system_errors.sentence(text, [database.parent], database) or text
            raise metadata_lock.MetadataError(f"{display_path(database)}: {message}") from error
        raise BadInputError(f"{display_path(database)}: the database is damaged ({error}); {ADVICE_DAMAGED}") from None
    if found != "ok":
        raise BadInputError(
            f"{display_path(database)}: the database is damaged ({found.splitlines()[-1]}); {ADVICE_DAMAGED}"
        )
    if _TABLE not in tables:
        raise BadInputError(f"{display_path(database)}: not a database of ML Metadata; {ADVICE_DAMAGED}")


def _on_stderr(message: str) -> None:
    print(message.strip(), file=sys.stderr, flush=True)
