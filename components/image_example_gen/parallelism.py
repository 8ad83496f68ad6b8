"""How many images are read at the same time: the number of local processes, and threads within each process."""

from __future__ import annotations

import collections
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import joblib
import psutil

from components.image_example_gen.sources.item import Item
from config.section import is_uri

T = TypeVar("T")
U = TypeVar("U")

THREADS = max(2, os.cpu_count() or 1)
"""Threads per process for local files. Reading, decoding and hashing release Python's global lock."""
REMOTE_THREADS = 16
"""Threads per process for files in a store, which answers many requests at once, but each slowly."""

MIN_IMAGES = 10_000
"""Number of images from which it pays to start processes, which must import TensorFlow. Measured; see
docs/benchmarks.md."""
_PROCESS_MEMORY = int(1.5 * 2**30)  # bytes
_RECORD_SIZE = 100_000  # bytes; an estimate, since the number of records in a file is unknown before it is read

_OPTION = "--direct_num_workers="
AUTOMATIC = f"{_OPTION}0"


def choose_workers(arguments: Sequence[str], items: Iterable[Item]) -> list[str]:
    """Replaces `--direct_num_workers=0` in Beam's arguments by a number of local processes that suits the data.

    Args:
      arguments: of Beam.
      items: all that will be read.

    Returns:
      the arguments, with 1 or more instead of 0: one process for few images, one per core for many if memory allows.
    """
    if AUTOMATIC not in arguments:
        return list(arguments)
    images = sum(item.size / _RECORD_SIZE if item.records else 1 for item in items)
    affordable = min(joblib.cpu_count(), psutil.virtual_memory().available // _PROCESS_MEMORY)
    workers = max(1, affordable) if images >= MIN_IMAGES else 1
    return [f"{_OPTION}{workers}" if argument == AUTOMATIC else argument for argument in arguments]


def threads_for(uris: Iterable[str]) -> int:
    """Number of threads for reading these files in one process."""
    return REMOTE_THREADS if any(map(is_uri, uris)) else THREADS


def map_in_order(pool: ThreadPoolExecutor, work: Callable[[T], U], items: Iterable[T], threads: int) -> Iterator[U]:
    """Like `map`, but in several threads. Results keep the order of the items.

    Args:
      pool: the threads.
      work: applied to each item.
      items: are taken one at a time, as they are needed.
      threads: how many there are; at most twice as many results wait to be taken.
    """
    waiting: collections.deque[Future[Any]] = collections.deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) >= 2 * threads:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
