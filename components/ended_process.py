"""Processes that a stage starts to try a model: whether one ended by itself, or was ended from outside."""

from __future__ import annotations

import signal

from config import interruption

# What the shell or the kernel sends says nothing about the model; SIGSEGV and SIGABRT, for instance, do.
_BY_SOMEBODY = {-signal.SIGINT, -signal.SIGTERM, -signal.SIGHUP, -signal.SIGKILL}


class EndedFromOutsideError(RuntimeError):
    """A process that tries a model was ended from outside, which says nothing about the model."""


def check(code: int, process: str, judged: str) -> None:
    """Tells an end from outside from all others.

    Args:
      code: exit code of the process, as `subprocess` gives it.
      process: what it was, for the error message.
      judged: what would have been judged.

    Raises:
      EndedFromOutsideError: if a signal of the shell or the kernel ended it.
      config.interruption.Interruption: if the run itself was interrupted.
    """
    if code in _BY_SOMEBODY:
        interruption.check()
        raise EndedFromOutsideError(
            f"{process} was ended by {signal.Signals(-code).name}, so {judged} was not judged; if memory ran out, end "
            "other programs; then start the run again"
        )
