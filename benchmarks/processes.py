"""Runs a side of a comparison in its own process, so that none profits from what another has loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection

_SHOWN = 3000  # characters of the output of a process that failed


def run(module: str, *arguments: object, accepted: Collection[int] = (0,)) -> str:
    """Runs a module of this project as `python -m` does.

    Args:
      module: its name.
      *arguments: of its command line.
      accepted: exit codes that are no failure.

    Returns:
      what it wrote to the standard output.

    Raises:
      SystemExit: if it ended with another exit code; the message has the ends of its outputs.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment)
    if done.returncode not in accepted:
        ends = f"{done.stdout[-_SHOWN:]}{done.stderr[-_SHOWN:]}"
        raise SystemExit(f"{' '.join(command[1:])} ended with {done.returncode}:\n{ends}")
    return done.stdout
