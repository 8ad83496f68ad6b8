"""Waits while another program, such as a database browser or a backup, locks the metadata of a pipeline.

ML Metadata itself waits for some seconds and then gives up; the stage whose result it was to record is lost.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

from pipeline.workspace import display_path

_log = logging.getLogger("regraft.runner")

PATIENCE_SECONDS = 600.0
_SECONDS_PER_RETRY = 5.0  # ML Metadata's client tries again after 2 s on average, and each try waits for 3 s
_POLL_SECONDS = 0.5
_REPORT_SECONDS = 60.0
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_RETRY = "mlmd client retry"  # in what ML Metadata's client logs when it waits


class MetadataError(Exception):
    """The metadata cannot be read or written; the message names the file and says why."""


class MetadataLockedError(MetadataError):
    """Another program locked the database for too long; the message names both."""


def retries(patience: float = PATIENCE_SECONDS) -> int:
    """How often ML Metadata's client tries again in so many seconds; at least once."""
    return max(1, int(patience / _SECONDS_PER_RETRY))


def wait(
    database: Path,
    patience: float = PATIENCE_SECONDS,
    to_write: bool = True,
    grace: float = 0.0,
    report: Callable[[str], None] = _log.warning,
) -> None:
    """Waits until no other program locks the database.

    Call it only while this process has no transaction in it: closing a file drops all locks of a process on it
    (https://www.sqlite.org/howtocorrupt.html, section 2.2).

    Args:
      database: a SQLite file; it may be missing.
      patience: seconds.
      to_write: whether this process is to write; a reader does not mind other readers.
      grace: seconds before the first report.
      report: takes a message.

    Raises:
      MetadataLockedError: if it is still locked after that time.
    """
    deadline, reports = time.monotonic() + patience, _Reports(database, grace, report)
    while is_locked(database, to_write):
        if time.monotonic() > deadline:
            raise MetadataLockedError(sentence(database, patience))
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


def sentence(database: Path, waited: float | None = None) -> str:
    """Says who locks the database, as far as the machine tells, and what to do; perhaps also for how many seconds."""
    who = " and ".join(_holders(database)) or "another program, for example a database browser or a backup"
    how_long = "" if waited is None else f" for {waited:g} seconds"
    return f"{display_path(database)}: locked by {who}{how_long}; close it, and run the same command again"


class _Reports(logging.Handler):
    """Prints who locks the database, once a minute at most."""

    def __init__(self, database: Path, grace: float = 0.0, report: Callable[[str], None] = _log.warning):
        super().__init__()
        self._database, self._next, self._report = database, time.monotonic() + grace, report

    def emit(self, record: logging.LogRecord) -> None:
        if _RETRY in str(record.msg):
            self.report()

    def report(self) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _REPORT_SECONDS
            self._report(f"  waiting: {sentence(self._database).partition(', and run')[0]}")


def is_locked(database: Path, to_write: bool = True) -> bool:
    """Whether another program keeps this one from writing, or from reading. Other problems of the file are no lock."""
    try:
        with contextlib.closing(connect(database, "rw" if to_write else "ro", timeout=0)) as connection:
            connection.isolation_level = None
            connection.execute("BEGIN EXCLUSIVE" if to_write else "BEGIN")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY
    return False


def connect(database: Path, mode: str, timeout: float = 5.0) -> sqlite3.Connection:
    """Opens a SQLite file that must exist.

    Args:
      database: the file.
      mode: `ro` or `rw`, https://www.sqlite.org/uri.html.
      timeout: how long to wait for a lock; seconds.
    """
    return sqlite3.connect(f"file:{quote(str(database))}?mode={mode}", uri=True, timeout=timeout)


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
