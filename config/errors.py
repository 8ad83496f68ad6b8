"""Errors that the user can fix, how any error becomes one line, and the exit codes of every command."""

from __future__ import annotations

import difflib
import enum
import errno
import re
from collections.abc import Iterable

_GRAPH = re.compile(r"\{\{(?:function_)?node [^}]*\}\}\s*|\s*\[Op:\w+\](?: name: \S*)?")
_CHECKED = "StringToNumberOp could not correctly convert string: "  # before the messages of decoders.encoded.checked


# Errors of a file that do not come from what the user asked for.
OF_THE_MACHINE = frozenset(
    (
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE),
        *(errno.ENOMEM, errno.EAGAIN, errno.EIO, errno.ESTALE),
    )
)


class ExitCode(enum.IntEnum):
    """What a command tells the shell."""

    OK = 0  # the command did what was asked: pushed, nothing new to push, listed, compiled
    FAILED = 1  # anything that no other code names
    BAD_INPUT = 2  # bad input or configuration
    NOT_BLESSED = 3  # the gate or the serving check refused the model, or it was rolled back
    # By a signal: 128 + its number, as shells report it.
    HUNG_UP = 129  # SIGHUP: the terminal was closed
    INTERRUPTED = 130  # SIGINT: Ctrl-C
    TERMINATED = 143  # SIGTERM


class BadInputError(ValueError):
    """The input or the configuration cannot be used. The message says what was found and what is allowed."""


class BackboneError(BadInputError):
    """A backbone cannot be built as asked: unknown name, unfit size, weights that are missing or do not fit."""


def one_line(error: object, limit: int = 300) -> str:
    """The first line of an error's message that says something, cut to `limit` characters.

    Args:
      error: an exception, or its message.
      limit: most characters; longer text ends with `…`.

    Returns:
      the line; the error's class name if its message is empty.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def shortened(error: Exception, limit: int = 300) -> str:
    """All of an error's message on one line, cut to `limit` characters: another library may say the cause anywhere."""
    text = " ".join(str(error).split())
    return text if len(text) <= limit else f"{text[:limit]} …"


def listed(names: Iterable[str], most: int = 5) -> str:
    """The names separated by commas; the number of the others after the first `most`."""
    shown = list(names)
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    return ", ".join(shown[:most]) + more


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about a misspelt name: `; did you mean …?`, or a full stop if no known name is like it."""
    by_lower_case = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), by_lower_case, n=1, cutoff=0.75)
    return f"; did you mean {by_lower_case[close[0]]!r}?" if close else "."


def op_message(message: str) -> str:
    """The message of a TensorFlow error, without the description of the graph around it."""
    before_node = graph_free(message).strip().splitlines()
    return before_node[-1].removeprefix(_CHECKED) if before_node else message


def graph_free(text: str) -> str:
    """The text of a TensorFlow error, without the names of nodes and functions in the graph."""
    return _GRAPH.sub("", text.split("\n\t [[")[0])
