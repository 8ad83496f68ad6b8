"""Runs `regraft`: in this process, or in one of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from regraft import cli

_HEAVY = ("apache_beam", "kfp", "pandas", "tensorflow", "tfx")
_IMPORTS = f"""
import atexit, sys
atexit.register(lambda: print("imported", *(set({_HEAVY!r}) & set(sys.modules)), flush=True))
from regraft import cli
cli.main(prog_name="regraft")
"""


def run(*arguments: str) -> int:
    """Runs a command in this process; pytest's `capsys` has what it prints.

    Returns:
      the exit code.
    """
    with pytest.raises(SystemExit) as end:
        cli.main(arguments, prog_name="regraft")
    assert isinstance(end.value.code, int)
    return end.value.code


def process(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Runs a command in a process of its own.

    Args:
      *arguments: of the command.
      **options: of subprocess.run.
    """
    command = [sys.executable, "-m", "regraft", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **options)


def imports(*arguments: str) -> tuple[subprocess.CompletedProcess[str], set[str]]:
    """Runs a command in a process of its own.

    Returns:
      the process, and which of the packages that take long to import it has imported.
    """
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTS, *arguments], capture_output=True, text=True, timeout=300, check=False
    )
    first, *names = done.stdout.splitlines()[-1].split()
    assert first == "imported", done.stderr
    return done, set(names)
