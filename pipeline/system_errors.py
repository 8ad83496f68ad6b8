"""Errors of the machine in a sentence: a full disk, a locked database, too little memory, a missing permission.

The same cause arrives as OSError, as an error of TensorFlow, of SQLite or of ML Metadata, and from a worker process
only as text. So the text decides. The libraries' own text, with TensorFlow's graph and SQL in it, is in the log.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import metadata_lock
from pipeline.workspace import ADVICE_DAMAGED


@dataclass(frozen=True)
class _Cause:
    """One kind of error.

    Attributes:
      pattern: of the text, which begins with the name of the error's class.
      what: the sentence; follows the path, if the error names one.
      advice: what to do.
      shows_space: whether the free space of the disks explains the error.
    """

    pattern: re.Pattern[str]
    what: str
    advice: str
    shows_space: bool = False


def _cause(pattern: str, what: str, advice: str, shows_space: bool = False) -> _Cause:
    return _Cause(re.compile(pattern, re.IGNORECASE), what, advice, shows_space)


# The texts of errno: https://man7.org/linux/man-pages/man3/errno.3.html; of SQLite: https://www.sqlite.org/rescode.html
_LOCKED = _cause(
    r"concurrent writes aborted|database (table |schema )?is locked",
    "another program locks a database, for example a database browser or a backup",
    "close it, and try again",
)
_CAUSES = (
    _cause(
        r"no space left on device|database or disk is full|disk quota exceeded",
        "the disk is full, or a quota is used up",
        "free some space, and try again",
        shows_space=True,
    ),
    _cause(
        r"file too large|exceeds? (the )?file size limit",
        "the file would be larger than the file system or `ulimit -f` allows",
        "raise the limit, and try again",
    ),
    _LOCKED,
    _cause(
        r"database disk image is malformed|file is not a database|subset of tables in MLMD",
        "the database is damaged",
        ADVICE_DAMAGED,
    ),
    _cause(
        r"readonly database|read-only database|unable to open database file|read-only file system",
        "the file system or the file is read-only",
        "make it writable, or choose another --workspace, and try again",
    ),
    _cause(
        r"permission denied|operation not permitted",
        "this user has no permission",
        "change the owner or the mode of the file, and try again",
    ),
    _cause(
        r"too many open files",
        "too many files are open at once",
        "raise the limit, for example with `ulimit -n 65536`, and try again",
    ),
    _cause(
        r"\bMemoryError\b|unable to allocate [\d.]+ |cannot allocate memory|OOM when allocating|std::bad_alloc"
        r"|CUDA_ERROR_OUT_OF_MEMORY|out of memory|failed to allocate (memory|request)",
        "memory ran out",
        "use a smaller training.batch_size, trunk_features.memory_gib or beam.workers, or end other programs, "
        "and try again",
    ),
    _cause(
        r"can't start new thread|resource temporarily unavailable",
        "the machine allows no more processes or threads",
        "raise the limit, for example with `ulimit -u`, or set beam.workers to fewer processes, and try again",
    ),
    _cause(
        r"input/output error|disk i/o error|stale file handle|remote i/o error",
        "a disk, or the network to it, failed",
        "look for the cause in the machine's log, and try again",
    ),
)
# `[Errno 28] No space left on device: 'x'` of Python, and `/x; No space left on device` of TensorFlow.
_PATHS = (re.compile(r"\[Errno \d+\] [^:]+: b?'([^']+)'"), re.compile(r"((?:\w+://|(?<![\w.])/)[^;:'\"\n]+?)\s*; "))


def sentence(text: str, folders: Sequence[str | Path] = (), database: str | Path | None = None) -> str | None:
    """Says what the machine lacks.

    Args:
      text: an error's class and message.
      folders: those that the command writes to, beside that of temporary files; without any, no free space is shown.
      database: the pipeline's ML Metadata store.

    Returns:
      a sentence; None if the error has another cause.
    """
    for cause in _CAUSES:
        if cause.pattern.search(text):
            found = next((match[1] for pattern in _PATHS if (match := pattern.search(text))), "")
            if cause is _LOCKED and database:
                return metadata_lock.sentence(Path(database))
            where = f"{found}: " if found else ""
            space = f" ({_free_space(folders)})" if cause.shows_space and folders else ""
            return f"{where}{cause.what}{space}; {cause.advice}"
    return None


def _free_space(folders: Sequence[str | Path]) -> str:
    """The free space of each disk that the command writes to."""
    shown: dict[int, str] = {}
    for folder in (*folders, tempfile.gettempdir()):
        path = next(path for path in (Path(folder).absolute(), *Path(folder).absolute().parents) if path.exists())
        free = shutil.disk_usage(path).free
        shown.setdefault(os.stat(path).st_dev, f"{path}: {free / 2**20:,.0f} MiB free")
    return ", ".join(shown.values())
