"""Finds the error behind what a failed stage raised, wherever Beam ran the stage's code.

An error in this process arrives as itself; Beam appends ` [while running 'Step']` to its message. An error in a worker
process, on this machine or on Flink or Spark, arrives as a RuntimeError whose message holds the worker's traceback. On
a cluster, there may be lines of Java around it.

The traceback is parsed because text is all that Beam passes on, with every runner. A marker in the message would have
to travel in the same text; each kind of worker process would have to add it, and one of them is Beam's own worker pool,
which this project does not start. Python's format needs no help from the worker. It also names the class: that class
is imported here, so any subclass of BadInputError counts as bad input.
"""

from __future__ import annotations

import itertools
import pkgutil
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from config.errors import BadInputError, graph_free
from pipeline import system_errors

_STEP = re.compile(r" \[while running '.*?'\]")
_TRACEBACK = "Traceback (most recent call last):\n"
# What Python writes between an error and the one that was raised while it was handled, or because of it.
_NEXT = re.compile(
    r"\n\n(?:During handling of the above exception, another exception occurred"
    r"|The above exception was the direct cause of the following exception):\n\n"
    rf"(?={re.escape(_TRACEBACK)})"
)
_JAVA = re.compile(r"^(?:\t+at .+|\t+\.\.\. \d+ .+|Driver stacktrace:.*)$", re.MULTILINE)
_PYDANTIC = re.compile(r"\n\s*For further information visit https://errors\.pydantic\.dev\S*")  # about its own errors
_QUERY = re.compile(r",? query: .*", re.DOTALL)  # in errors of ML Metadata
_ERROR = re.compile(r"([\w.<>]+)(?:: (.*))?", re.DOTALL)


@dataclass(frozen=True)
class Failure:
    """Why a stage failed.

    Attributes:
      message: for the terminal: the whole message of a BadInputError; a sentence about what the machine lacks; or the
        last line of what Python prints of any other error.
      bad_input: whether it was a BadInputError, of any subclass.
    """

    message: str
    bad_input: bool


def failure(error: BaseException, folders: Sequence[str | Path] = (), database: str | Path | None = None) -> Failure:
    """Says why a stage failed.

    Args:
      error: what reached this process.
      folders: those that the command writes to; their free space is shown if a disk is full.
      database: the pipeline's ML Metadata store; named if it is locked.
    """
    kind, name, message = type(error), _name(type(error)), str(error)
    while name == "RuntimeError" and (inner := _inner(message)):
        name, message = inner
        kind = _imported(name)
    message = _STEP.sub("", message).strip()
    if issubclass(kind, BadInputError):
        return Failure(message, True)
    text = f"{name}: {message}" if message else name
    return Failure(system_errors.sentence(text, folders, database) or _last_line(text), False)


def _inner(message: str) -> tuple[str, str] | None:
    """Class and message of the error that Beam put into a RuntimeError; None if there is none."""
    with_traceback = [part for part in _JAVA.split(message) if _TRACEBACK in part]
    if with_traceback:  # Java prints the root cause last
        lines = _NEXT.split(with_traceback[-1])[-1].partition(_TRACEBACK)[2].split("\n")
        message = "\n".join(itertools.dropwhile(lambda line: line.startswith(" "), lines))
    elif not _STEP.search(message):  # Beam does this to an error that it can't create again with another message
        return None
    found = _ERROR.fullmatch(message.strip())
    return (found[1], found[2] or "") if found else None


def _imported(name: str) -> type[BaseException]:
    """The class of that name; Exception if there is none here."""
    if not name.rpartition(".")[2][:1].isupper():  # "setup.py: …" is no class; importing setup would run it
        return Exception
    try:
        found = pkgutil.resolve_name(name if "." in name else f"builtins.{name}")
    except Exception:  # whatever an import may raise
        return Exception
    return found if isinstance(found, type) and issubclass(found, BaseException) else Exception


def _name(kind: type[BaseException]) -> str:
    """The name of a class in Python's tracebacks."""
    return (
        kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    )


def _last_line(text: str) -> str:
    """The last line that has words, without Java's stack, TensorFlow's position in the graph and SQL."""
    lines = _QUERY.sub("", graph_free(_PYDANTIC.sub("", _JAVA.sub("", text)))).splitlines()
    with_words = [line.strip() for line in lines if any(character.isalnum() for character in line)]
    return with_words[-1] if with_words else text
