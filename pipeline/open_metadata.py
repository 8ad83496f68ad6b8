"""Opens the metadata of a pipeline for `history`, `explain` and `clean`; if that fails, a sentence says why."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

from ml_metadata import errors, metadata_store
from ml_metadata.proto import metadata_store_pb2

from config.errors import BadInputError
from pipeline import metadata_lock, worker_errors
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
    try:
        _finish_rollback(database)
        _refuse_damaged(database)
    except sqlite3.OperationalError as error:
        raise _in_a_sentence(error, folder, to_write) from error
    connection = folder.connection()
    connection.sqlite.connection_mode = _MODE.READWRITE if to_write else _MODE.READONLY
    connection.retry_options.max_num_retries = metadata_lock.retries(PATIENCE_SECONDS)
    try:
        yield metadata_store.MetadataStore(connection)
    except (errors.StatusError, RuntimeError) as error:  # a store that cannot be opened is a RuntimeError
        raise _in_a_sentence(error, folder, to_write) from error


def _in_a_sentence(error: Exception, folder: RunFolder, to_write: bool) -> metadata_lock.MetadataError:
    database = folder.metadata
    if metadata_lock.is_locked(database, to_write):
        return metadata_lock.MetadataLockedError(metadata_lock.sentence(database))
    message, name = worker_errors.failure(error, [folder.path], database).message, display_path(database)
    return metadata_lock.MetadataError(message if message.startswith(name) else f"{name}: {message}")


def _finish_rollback(database: Path) -> None:
    """Lets SQLite undo what a killed run had half written, as the next run would; a reader is not allowed to."""
    try:
        _look_into(database, "ro")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_READONLY_ROLLBACK:
            raise
        _look_into(database, "rw")
    except sqlite3.DatabaseError:  # _refuse_damaged says more
        return


def _look_into(database: Path, mode: str) -> None:
    with contextlib.closing(metadata_lock.connect(database, mode)) as connection:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()


def _refuse_damaged(database: Path) -> None:
    with database.open("rb") as file:  # an error of permissions names the file
        if not file.read(1):
            raise BadInputError(f"{display_path(database)}: the file is empty; {ADVICE_DAMAGED}")
    try:
        with contextlib.closing(metadata_lock.connect(database, "ro")) as connection:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master")]
    except sqlite3.OperationalError:  # not damaged
        raise
    except sqlite3.DatabaseError as error:
        raise BadInputError(f"{display_path(database)}: the database is damaged ({error}); {ADVICE_DAMAGED}") from None
    if found != "ok":
        raise BadInputError(
            f"{display_path(database)}: the database is damaged ({found.splitlines()[-1]}); {ADVICE_DAMAGED}"
        )
    if _TABLE not in tables:
        raise BadInputError(f"{display_path(database)}: not a database of ML Metadata; {ADVICE_DAMAGED}")


def _on_stderr(message: str) -> None:
    print(message.strip(), file=sys.stderr, flush=True)
