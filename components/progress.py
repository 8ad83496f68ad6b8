"""How far a Beam stage is, over all its workers: each keeps a small file of what it has done, the stage adds them up.

Workers may be threads of the stage's process, processes of their own, or on machines whose logs nobody reads.
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

_TOLD_SECONDS, _SAID_SECONDS = 2.0, 10.0


class Done(NamedTuple):
    """What a worker has done.

    Attributes:
      images: how many.
      share: of all there is to do, 0 to 1.
      seconds: since it began.
    """

    images: int
    share: float
    seconds: float


class Tally:
    """What the threads of one process have done together; written down every two seconds."""

    _shared: ClassVar[dict[str, Tally]] = {}
    _lock = threading.Lock()

    def __init__(self, folder: str, total: int):
        """Begins at nothing.

        Args:
          folder: where the stage looks.
          total: all there is to do, in whatever unit.
        """
        self._file, self._total = os.path.join(folder, uuid.uuid4().hex), total
        self._images = self._done = 0
        self._start = self._told = time.monotonic()

    @classmethod
    def of(cls, folder: str, total: int) -> Tally:
        """The one of this process for this folder; made if there is none."""
        with cls._lock:
            return cls._shared.setdefault(folder, cls(folder, total))

    def add(self, images: int, done: int) -> None:
        """Adds images, and what they are of the total."""
        with self._lock:
            self._images, self._done = self._images + images, self._done + done
            now = time.monotonic()
            if now - self._told < _TOLD_SECONDS:
                return
            self._told = now
            share = self._done / self._total if self._total else 0.0
            written = json.dumps(Done(self._images, share, now - self._start))
            temporary = f"{self._file}.tmp"
            with tf.io.gfile.GFile(temporary, "w") as file:
                file.write(written)
            tf.io.gfile.rename(temporary, self._file, overwrite=True)


@contextlib.contextmanager
def followed(folder: str, what: str, log: logging.Logger) -> Iterator[None]:
    """While it lasts, says every ten seconds how far all workers are, if that is news; then the folder is removed.

    Args:
      folder: of the tallies; made here.
      what: has been done to the images.
      log: where to say it.
    """
    tf.io.gfile.makedirs(folder)
    ended = threading.Event()

    def follow() -> None:
        before: list[Done] = []
        while not ended.wait(_SAID_SECONDS):
            now = read(folder)
            if now != before and (told := said(now, what)):
                log.info("  %s", told)
            before = now

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        tf.io.gfile.rmtree(folder)


def read(folder: str) -> list[Done]:
    """What the workers wrote last."""
    found = []
    for name in sorted(tf.io.gfile.listdir(folder)):
        if not name.endswith(".tmp"):
            with tf.io.gfile.GFile(os.path.join(folder, name)) as file:
                found.append(Done(*json.loads(file.read())))
    return found


def said(workers: Sequence[Done], what: str) -> str:
    """Count, share, rate and time left, added up; empty if nothing is done yet."""
    images, share = sum(worker.images for worker in workers), sum(worker.share for worker in workers)
    if not images:
        return ""
    rate = sum(worker.images / worker.seconds for worker in workers)
    speed = sum(worker.share / worker.seconds for worker in workers)
    left = f", {max(0.0, 1 - share) / speed:.0f} s left" if speed else ""
    return f"{images:,} images {what} ({min(share, 1):.0%}), {_rounded(rate)} images/s{left}"


def _rounded(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"
