"""Waits for what a test has started."""

from __future__ import annotations

import time
from collections.abc import Callable


def becomes_true(condition: Callable[[], object], seconds: float = 120, every: float = 0.3) -> bool:
    """Waits for a condition; gives whether it came true."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(every)
    return True
