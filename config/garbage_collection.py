"""Python's garbage collector, while the large libraries are imported and afterwards.

TensorFlow, TFX and Beam make half a million objects that stay until the process ends. With Python's thresholds, the
collector visits all of them again and again: a fifth of the CPU time of their import, and half a second of each full
collection later. `gc.freeze` takes objects out of its sight, https://docs.python.org/3/library/gc.html#gc.freeze, and
with them the little garbage that the imports have made.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator

_MANY_MODULES = 500  # the libraries are several thousand
_ALLOCATIONS = 20_000  # between collections of the youngest objects; Python's default is 700, or 2,000 since 3.13


def relax() -> None:
    """Collects garbage more rarely; a run's memory grows by about a hundredth."""
    gc.set_threshold(_ALLOCATIONS, *gc.get_threshold()[1:])


@contextlib.contextmanager
def paused_for_imports() -> Iterator[None]:
    """No collection inside, and `relax` holds afterwards.

    What was made until its end is never visited again, unless the libraries were there before: a second call would keep
    the garbage of what has run since the first.
    """
    was_enabled, modules = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        relax()
        if len(sys.modules) - modules > _MANY_MODULES:
            gc.freeze()
        if was_enabled:
            gc.enable()
