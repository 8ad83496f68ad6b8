"""Keeps what a person reads apart from what the libraries say.

Stages report through loggers below `regraft`; those lines go to the terminal. All else that is written to standard
output or standard error, by Python or by C++, goes to the log file.
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

_FILE_WIDTH = 1000  # columns: in a file or a pipe, whose rows programs read, no path is broken


def tables(terminal: TextIO) -> rich.console.Console:
    """What prints tables there."""
    return rich.console.Console(file=terminal, highlight=False, width=None if terminal.isatty() else _FILE_WIDTH)


@contextlib.contextmanager
def redirected(log: Path) -> Iterator[TextIO]:
    """Sends standard output and error to `log` while it lasts.

    Yields:
      the terminal: the standard output as it was.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    handler = None
    try:
        with (
            open(log, "ab", buffering=0) as file,
            open(os.dup(kept[0]), "w", buffering=1, encoding="utf-8") as terminal,
        ):
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            handler = logging.StreamHandler(terminal)
            _reports().addHandler(handler)
            yield terminal
    finally:
        if handler:
            _reports().removeHandler(handler)
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, original in zip((1, 2), kept, strict=True):
            os.dup2(original, descriptor)
            os.close(original)


def log_everything() -> None:
    """Has TFX's and Beam's own progress written to the log; call once absl is imported."""
    from absl import logging as absl_logging

    absl_logging.set_verbosity(absl_logging.INFO)
    absl_logging.use_absl_handler()


def _reports() -> logging.Logger:
    logger = logging.getLogger("regraft")
    logger.setLevel(logging.INFO)
    return logger
