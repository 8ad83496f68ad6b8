"""The terminal for a person, and the log file for the libraries.

Stages report through loggers below `regraft`; those lines go to the terminal. Everything else that Python or C++ writes
to standard output or standard error goes to the log file.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import rich.console

_FILE_WIDTH = 1000  # columns: programs read the rows of a file or a pipe, so no path may be broken there


def tables(terminal: TextIO) -> rich.console.Console:
    """Prints tables to this terminal, file or pipe."""
    return rich.console.Console(file=terminal, highlight=False, width=None if terminal.isatty() else _FILE_WIDTH)


@contextlib.contextmanager
def redirected(log: Path) -> Iterator[TextIO]:
    """Sends standard output and standard error to `log`.

    Yields:
      the terminal: the original standard output.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    handler, reports = None, logging.getLogger("regraft")
    level = reports.level
    try:
        with (
            open(log, "ab", buffering=0) as file,
            open(os.dup(kept[0]), "w", buffering=1, encoding="utf-8") as terminal,
        ):
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            handler = logging.StreamHandler(terminal)
            reports.addHandler(handler)
            reports.setLevel(logging.INFO)
            yield terminal
    finally:
        reports.setLevel(level)
        if handler:
            reports.removeHandler(handler)
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, original in zip((1, 2), kept, strict=True):
            os.dup2(original, descriptor)
            os.close(original)


def log_everything() -> None:
    """Writes TFX's and Beam's own progress to the log; call it once absl is imported."""
    from absl import logging as absl_logging

    absl_logging.set_verbosity(absl_logging.INFO)
    absl_logging.use_absl_handler()
