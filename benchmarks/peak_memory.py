"""The peak of the memory that this process and its children take together."""

from __future__ import annotations

import threading

import psutil


class PeakMemory:
    """Measures resident memory while the context is open.

    Attributes:
      bytes: the highest sum over all processes so far.
    """

    def __init__(self, interval: float = 0.05):
        """Measures nothing yet.

        Args:
          interval: seconds between two measurements.
        """
        self.bytes, self._interval, self._done = 0, interval, threading.Event()

    def __enter__(self) -> PeakMemory:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    @property
    def gib(self) -> float:
        return self.bytes / 2**30

    def _watch(self) -> None:
        me = psutil.Process()
        while not self._done.wait(self._interval):
            total = 0
            for process in (me, *me.children(recursive=True)):
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.bytes = max(self.bytes, total)
