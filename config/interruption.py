"""Signals that end a command: SIGINT (Ctrl-C), SIGTERM, and SIGHUP, which a terminal sends when it is closed.

Each raises Interruption in the main thread. A library may swallow that, or turn it into an error of its own: a C
extension makes a SystemError or an ImportError of an exception that it does not expect. So the signal is also
remembered, and code that turns errors into messages or results calls `check` first: an interruption is never an error
of the data.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

from config.errors import ExitCode

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# Shells, `timeout` and closed terminals send a signal to a process and to its group. The second one must not end the
# cleaning up.
_REPEAT_SECONDS = 2.0

_WATCH_SECONDS = 1.0

# Raised by TFX's InfraValidator, which has its own handler of SIGTERM while it runs.
_OF_TFX = "GracefulShutdown"


class Interruption(KeyboardInterrupt):
    """A signal asked the command to end."""


_received: signal.Signals | None = None
_received_at = 0.0


@contextlib.contextmanager
def handled() -> Iterator[None]:
    """Handles the signals until the end of the context; does nothing inside another such context.

    A signal that is ignored stays ignored: `nohup` does this with SIGHUP, and shells with SIGINT for background jobs.
    """
    global _received
    before = {number: signal.getsignal(number) for number in SIGNALS}
    if threading.current_thread() is not threading.main_thread() or _on_signal in before.values():
        yield
        return
    _received = None
    for number, handler in before.items():
        if handler not in (signal.SIG_IGN, None):
            signal.signal(number, _on_signal)
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)
        _received = None


def end_with_parent() -> None:
    """From now on, ends this process when the one that started it is gone, even killed."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCH_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def received() -> signal.Signals | None:
    """The first signal that arrived; None if none has."""
    return _received


def check(error: BaseException | None = None) -> None:
    """Looks for a signal, whatever became of the exception that it raised.

    Args:
      error: what is about to become a message or a result.

    Raises:
      Interruption: if a signal arrived, or one is behind `error`.
    """
    if _received is not None or _is_interruption(error):
        raise Interruption from error


@contextlib.contextmanager
def first() -> Iterator[None]:
    """Raises Interruption in place of any error that a signal is behind."""
    try:
        yield
    except Exception as error:
        check(error)
        raise


def exit_code() -> ExitCode:
    """128 + the number of the signal, as shells report it."""
    return ExitCode(128 + (_received or signal.SIGINT))


def message() -> str:
    """What to tell a person."""
    return "interrupted" if _received in (None, signal.SIGINT) else f"ended by {_received.name}"


def _on_signal(number: int, frame: FrameType | None) -> None:
    global _received, _received_at
    now = time.monotonic()
    is_repeat = _received is not None and now - _received_at < _REPEAT_SECONDS
    _received, _received_at = _received or signal.Signals(number), now
    if not is_repeat:
        raise Interruption


def _is_interruption(error: BaseException | None) -> bool:
    """Whether an exception, or one that led to it, is that of a signal."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, KeyboardInterrupt) or type(error).__name__ == _OF_TFX:
            return True
        seen.add(id(error))
        error = error.__cause__ if error.__suppress_context__ else error.__context__
    return False
