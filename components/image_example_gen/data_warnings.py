"""What in the data may be a mistake, but does not stop a run."""

from __future__ import annotations

from collections.abc import Iterator

from components.image_example_gen import confusable_names
from components.image_example_gen.report import Counts
from config.errors import listed


def of(counts: Counts) -> Iterator[str]:
    """One sentence per warning."""
    yield from confusable_names.warnings(counts.classes, counts.folders)
    if counts.inner_folders:
        yield (
            f"every class folder contains the folders {listed(counts.inner_folders)}: if these are the classes, the "
            f"folders around them ({listed(counts.classes)}) are no classes; name folders of splits train, val and "
            "test, or set data.path to one of them"
        )
    for role in counts.empty_fields:
        found = "the weight of every image is 1" if role == "weight" else f"no image has a {role}"
        yield f"data.fields.{role}: {found}; check the name in data.fields, or remove it"
