"""Folders in the user's cache folder, for what takes minutes to make and many runs of the tests need."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


def folder(name: str) -> Path:
    """A folder; it may not exist yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "regraft" / name


@contextlib.contextmanager
def shared(path: Path) -> Iterator[None]:
    """No other process changes a folder meanwhile; others may use it, too."""
    with _locked(path, fcntl.LOCK_SH):
        yield


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """No other process uses a folder meanwhile."""
    with _locked(path, fcntl.LOCK_EX):
        yield


@contextlib.contextmanager
def _locked(path: Path, kind: int) -> Iterator[None]:
    path.mkdir(parents=True, exist_ok=True)
    with (path / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another process that uses or makes what is in {path}", flush=True)
            fcntl.flock(lock, kind)
        yield
