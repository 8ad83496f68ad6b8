"""What in the data may be a mistake, but does not stop a run."""

from __future__ import annotations

from collections.abc import Iterator

from components.image_example_gen import confusable_names
from components.image_example_gen.report import Counts


def of(counts: Counts) -> Iterator[str]:
    """One sentence per warning."""
    yield from confusable_names.warnings(counts.classes, counts.folders)
    for role in counts.empty_fields:
        found = "the weight of every image is 1" if role == "weight" else f"no image has a {role}"
        yield f"data.fields.{role}: {found}; check the name in data.fields, or remove it"
