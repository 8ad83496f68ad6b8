"""The progress of a Beam stage over all its workers: each worker writes a small file, and the stage adds them up.

Workers are threads of the stage's process, other processes, or processes on other machines, whose logs are not shown.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import ClassVar, NamedTuple

import tensorflow as tf

from modules.files import atomic_write

_WRITE_SECONDS, _LOG_SECONDS = 2.0, 10.0


class Done(NamedTuple):
    """What a worker has done.

    Attributes:
      images: how many.
      share: of all work, 0 to 1.
      seconds: since the worker started.
    """

    images: int
    share: float
    seconds: float


class Tally:
    """What the threads of one process have done together; it is written to a file every two seconds."""

    _shared: ClassVar[dict[str, Tally]] = {}
    _lock = threading.Lock()

    def __init__(self, folder: str, total: int):
        """Starts at zero.

        Args:
          folder: where the stage reads the files.
          total: all work, in any unit.
        """
        self._file, self._total = os.path.join(folder, uuid.uuid4().hex), total
        self._images = self._done = 0
        self._start = self._written_at = time.monotonic()

    @classmethod
    def of(cls, folder: str, total: int) -> Tally:
        """The tally of this process for this folder; the first call creates it."""
        with cls._lock:
            return cls._shared.setdefault(folder, cls(folder, total))

    def add(self, images: int, work: int) -> None:
        """Adds images, and how much of the total work they are."""
        with self._lock:
            self._images, self._done = self._images + images, self._done + work
            now = time.monotonic()
            if now - self._written_at < _WRITE_SECONDS:
                return
            self._written_at = now
            share = self._done / self._total if self._total else 0.0
            atomic_write(self._file, json.dumps(Done(self._images, share, now - self._start)))


@contextlib.contextmanager
def follow(folder: str, verb: str, log: logging.Logger) -> Iterator[None]:
    """Logs every ten seconds how far all workers are, if that has changed; removes the folder at the end.

    Args:
      folder: of the tallies; it is created.
      verb: what is done to the images, as a participle, such as `written`.
      log: where the progress is logged.
    """
    tf.io.gfile.makedirs(folder)
    ended = threading.Event()

    def log_changes() -> None:
        before: list[Done] = []
        while not ended.wait(_LOG_SECONDS):
            now = read(folder)
            if now != before and (line := describe(now, verb)):
                log.info("  %s", line)
            before = now

    thread = threading.Thread(target=log_changes, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        tf.io.gfile.rmtree(folder)


def read(folder: str) -> list[Done]:
    """What each worker wrote last."""
    workers = []
    for name in sorted(tf.io.gfile.listdir(folder)):
        if not name.endswith(".tmp"):
            with tf.io.gfile.GFile(os.path.join(folder, name)) as file:
                workers.append(Done(*json.loads(file.read())))
    return workers


def describe(workers: Sequence[Done], verb: str) -> str:
    """Number of images, share, rate and remaining time of all workers together; empty if nothing is done yet."""
    images, share = sum(worker.images for worker in workers), sum(worker.share for worker in workers)
    if not images:
        return ""
    rate = sum(worker.images / worker.seconds for worker in workers)
    speed = sum(worker.share / worker.seconds for worker in workers)
    left = f", {max(0.0, 1 - share) / speed:.0f} s left" if speed else ""
    return f"{images:,} images {verb} ({min(share, 1):.0%}), {_rounded(rate)} images/s{left}"


def _rounded(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"
