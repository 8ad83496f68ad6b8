"""How many processes read images at once on this machine, unless the configuration says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import joblib
import psutil

from components.image_example_gen.sources.item import Item

PROCESSES_FROM = 10_000
"""Images from which starting processes, which import TensorFlow, pays; measured, see docs/benchmarks.md."""
_MEMORY = int(1.5 * 2**30)  # bytes of one
_IMAGE = 100_000  # bytes of one in a file of records, whose number isn't known before it is read

_OPTION = "--direct_num_workers="
LEFT_OPEN = f"{_OPTION}0"


def settled(arguments: Sequence[str], items: Iterable[Item]) -> list[str]:
    """Beam's arguments; if they leave the number of local workers open, with the one that suits the size.

    Args:
      arguments: of Beam; `--direct_num_workers=0` leaves it open.
      items: all that will be read.

    Returns:
      the same, or 1 or more in the place of 0: one process for few images, one a core for many, if memory allows.
    """
    if LEFT_OPEN not in arguments:
        return list(arguments)
    images = sum(item.size / _IMAGE if item.records else 1 for item in items)
    several = min(joblib.cpu_count(), psutil.virtual_memory().available // _MEMORY)
    workers = max(1, several) if images >= PROCESSES_FROM else 1
    return [f"{_OPTION}{workers}" if argument == LEFT_OPEN else argument for argument in arguments]
