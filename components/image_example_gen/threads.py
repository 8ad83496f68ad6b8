"""Several images at a time in one Beam worker: reading, decoding and hashing leave Python's lock to others."""

from __future__ import annotations

import collections
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
U = TypeVar("U")

AT_ONCE = max(2, os.cpu_count() or 1)
AT_ONCE_REMOTE = 16  # a store answers many, each slowly


def ordered(pool: ThreadPoolExecutor, work: Callable[[T], U], over: Iterable[T], at_once: int) -> Iterator[U]:
    """Like `map`, by several threads: results in order, and never more than twice `at_once` waiting to be taken.

    Args:
      pool: the threads.
      work: what to do with each.
      over: what to do it with; taken as it is needed.
      at_once: how many threads there are.
    """
    waiting: collections.deque[Future[Any]] = collections.deque()
    for one in over:
        waiting.append(pool.submit(work, one))
        if len(waiting) >= 2 * at_once:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
