"""Another program that locks a SQLite database."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

# A transaction takes its lock for reading with the first read.
_PROGRAM = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(sys.argv[2])
connection.execute("SELECT * FROM sqlite_master").fetchall()
print("locked", flush=True)
sys.stdin.readline()
"""


@contextlib.contextmanager
def locked(database: Path, how: str = "BEGIN EXCLUSIVE") -> Iterator[subprocess.Popen]:
    """Another process holds a lock: locks of one process do not stand in its own way."""
    command = [sys.executable, "-c", _PROGRAM, str(database), how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "locked\n"
        yield process
