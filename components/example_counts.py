"""How many examples each split has: recorded by ImageExampleGen, and compared by every stage that reads examples."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from config.errors import BadInputError

if TYPE_CHECKING:
    from tfx import types

PROPERTY = "images"  # the custom property of an Examples artifact


class IncompleteExamplesError(BadInputError):
    """A stage has read another number of examples than were written."""


def record(examples: types.Artifact, counts: Mapping[str, int]) -> None:
    """Records the number of examples of each split with the artifact."""
    examples.set_string_custom_property(PROPERTY, json.dumps(dict(counts), sort_keys=True))


def recorded(examples: types.Artifact) -> dict[str, int]:
    """Split name to number of examples; empty for examples that ImageExampleGen did not write."""
    return json.loads(examples.get_string_custom_property(PROPERTY) or "{}")


def check(examples: types.Artifact, split: str, found: int) -> None:
    """Compares what a stage has read with what was written.

    Args:
      examples: the artifact.
      split: the name of a split.
      found: number of examples that were read.

    Raises:
      IncompleteExamplesError: if the numbers differ.
    """
    expected = recorded(examples).get(split, found)
    if found != expected:
        raise IncompleteExamplesError(
            f"{examples.uri}: {expected} examples of split {split} were written, and {found} were read; its files are "
            "damaged, so delete this folder and run again"
        )
