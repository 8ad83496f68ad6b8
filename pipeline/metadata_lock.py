"""Waits while another program, such as a database browser or a backup, locks the metadata of a pipeline.

ML Metadata itself waits for some seconds and then gives up; the stage whose result it was to record is lost.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from pipeline.workspace import display_path

_log = logging.getLogger("regraft.runner")

PATIENCE_SECONDS = 600.0
# ML Metadata's client tries again after 2 s on average, and each try waits for 3 s; for PATIENCE_SECONDS in all.
MOST_RETRIES = int(PATIENCE_SECONDS / 5)
_POLL_SECONDS = 0.5
_REPORT_SECONDS = 60.0
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_RETRY = "mlmd client retry"  # in what ML Metadata's client logs when it waits


class MetadataLockedError(Exception):
    """Another program locked the database for too long; the message names both."""


def wait(database: Path, patience: float = PATIENCE_SECONDS) -> None:
    """Waits until no other program locks the database.

    Call it only while this process has no transaction in it: closing a file drops all locks of a process on it
    (https://www.sqlite.org/howtocorrupt.html, section 2.2).

    Args:
      database: a SQLite file; it may be missing.
      patience: seconds.

    Raises:
      MetadataLockedError: if it is still locked after that time.
    """
    deadline, reports = time.monotonic() + patience, _Reports(database)
    while is_locked(database):
        if time.monotonic() > deadline:
            raise MetadataLockedError(sentence(database))
        reports.report()
        time.sleep(_POLL_SECONDS)


@contextlib.contextmanager
def reported(database: Path) -> Iterator[None]:
    """Reports that ML Metadata's client waits, where it does so in the middle of a stage."""
    handler = _Reports(database)
    logger = logging.getLogger("absl")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def sentence(database: Path) -> str:
    """Says who locks the database, as far as the machine tells."""
    who = " and ".join(_holders(database)) or "another program, for example a database browser or a backup"
    return (
        f"{display_path(database)}: locked by {who}; close it, and run the same command again: finished stages come "
        "from the cache"
    )


class _Reports(logging.Handler):
    """Prints who locks the database, once a minute at most."""

    def __init__(self, database: Path):
        super().__init__()
        self._database, self._next = database, 0.0

    def emit(self, record: logging.LogRecord) -> None:
        if _RETRY in str(record.msg):
            self.report()

    def report(self) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _REPORT_SECONDS
            _log.warning("  waiting: %s", sentence(self._database).partition(", and run")[0])


def is_locked(database: Path) -> bool:
    """Whether another program keeps this one from writing. Any other problem of the file is left to ML Metadata."""
    try:
        connection = sqlite3.connect(f"file:{quote(str(database))}?mode=rw", uri=True, timeout=0, isolation_level=None)
        with contextlib.closing(connection):
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY
    return False


def _holders(database: Path) -> list[str]:
    """The programs that hold a lock on the file: `name (process id)`; Linux lists them in /proc/locks."""
    try:
        inode = os.stat(database).st_ino
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return []
    # `1: POSIX  ADVISORY  WRITE 1234 08:01:5678 1073741825 1073742335`; a waiting one has `->` after the number.
    fields = [line.split() for line in lines if "->" not in line]
    processes = {int(field[4]) for field in fields if int(field[5].rpartition(":")[2]) == inode} - {os.getpid()}
    return [_name(process) for process in sorted(processes) if process > 0]


def _name(process: int) -> str:
    try:
        return f"{Path(f'/proc/{process}/comm').read_text(encoding='utf-8').strip()} (process {process})"
    except OSError:
        return f"process {process}"
