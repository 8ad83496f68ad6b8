"""Parts of the test images in which the candidate is clearly worse: for the terminal, the report and summary.json."""

from __future__ import annotations

import dataclasses
from typing import Any

from components.evaluator.slice_findings import GROUP, BadSlice, Search
from config import image_facts
from modules.files import printable

_NAMED = 3  # images of a group


def as_json(search: Search | None) -> dict[str, Any] | None:
    """The section `bad_slices` of summary.json."""
    if search is None:
        return None
    found = [{**dataclasses.asdict(one), "paths": list(map(printable, one.paths))} for one in search.slices]
    return {"candidates": search.candidates, "groups": search.groups, "slices": found}


def sentence(found: BadSlice) -> str:
    """Which images, and what the candidate's accuracy is on them and on others."""
    if found.slice.startswith(GROUP):
        names = ", ".join(map(printable, found.paths[:_NAMED]))
        which = f"{found.images} test images that look alike ({names}, …)"
    else:
        also = f" (mostly the same as those {' and '.join(map(_with, found.also))})" if found.also else ""
        which = f"{found.images} test images {_with(found.slice)}{also}"
    return (
        f"{which}: accuracy {found.accuracy:.0%} against {found.elsewhere:.0%} on other images of the same classes; "
        "look at them, and add training images like them"
    )


def _with(name: str) -> str:
    """A slice in words: `with brightness very dark`, `without a camera`."""
    feature, equals, value = name.partition("=")
    words = words_of(feature)
    if not equals:
        return f"with {words}"
    return f"with {words} {value}" if value else f"without {words}"


def words_of(feature: str) -> str:
    """A feature as a person calls it: `brightness`, `class`, `column farm`."""
    if feature == image_facts.LABEL:
        return "class"
    return feature.removeprefix("image/").removesuffix("_band").replace(image_facts.COLUMN, "column ", 1)
