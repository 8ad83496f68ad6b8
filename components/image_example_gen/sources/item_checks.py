"""Checks on what a source lists, before anything large is loaded."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from components.image_example_gen import quarantine
from components.image_example_gen.sources.item import Item
from config.errors import BadInputError
from config.section import is_uri

_SAMPLE = 100  # files that are looked for, spread over all; there may be up to twice as many


def check(items: Sequence[Item], max_bad_fraction: float) -> None:
    """Refuses a source of which too little can be used, as far as its list shows.

    Args:
      items: all that the source lists.
      max_bad_fraction: of the images, 0 to 1; see `data.max_bad_fraction`.

    Raises:
      BadImagesError: if too many items are rejected.
      BadInputError: if none of many files exists.
    """
    if any(item.records for item in items):  # how many images a file of records has is unknown
        return
    quarantine.check_rejected(rejected(items), len(items), max_bad_fraction)
    local = [item for item in items if not item.rejection and not is_uri(item.uri)]
    sample = local[:: max(1, len(local) // _SAMPLE)]
    if sample and not any(os.path.lexists(item.uri) for item in sample):
        raise BadInputError(
            f"data.path: none of the {len(sample)} files that were looked for exists; correct the paths, or set "
            f"data.root to the folder that they are relative to. {_place(sample[0])} was looked for at "
            f"{sample[0].uri!r}"
        )


def rejected(items: Sequence[Item]) -> list[dict[str, Any]]:
    """The items that are rejected, as rows with `path`, `reason` and `detail`."""
    return [{"path": _place(item), **item.rejection._asdict()} for item in items if item.rejection]


def _place(item: Item) -> str:
    return f"{item.path} (line {item.line})" if item.line else item.path
