"""Images with the same bytes become one example and its duplicates, or a conflict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam

from components.image_example_gen import bundle_summary, report, report_writer, splitting
from components.image_example_gen.inspection import InspectedImage
from components.image_example_gen.near_duplicates import PerceptualHash

FACTS = "facts"  # tag of the output of Facts


class Member(NamedTuple):
    """An image in the search for near-duplicates.

    Attributes:
      key: of the image.
      unit: of the image, before units are merged.
      source_split: to which the source assigns it; may be empty.
      perceptual_hash: of the image.
    """

    key: str
    unit: str
    source_split: str
    perceptual_hash: PerceptualHash


class Facts(NamedTuple):
    """What must be known of all examples before any of them is assigned to a split; of the examples of one bundle.

    Attributes:
      members: those with a perceptual hash.
      pairs: of units that must stay together, because an image is in both.
      source_splits: to which the source assigns them, with the empty name if it assigns some to none.
    """

    members: list[Member]
    pairs: list[tuple[str, str]]
    source_splits: set[str]


class MergeSameBytes(beam.DoFn):
    """Turns (key, all InspectedImages with it) into one InspectedImage, the example, or into none.

    Further outputs are Facts (tag `FACTS`) and rows of the reports on duplicates and conflicts.
    """

    def start_bundle(self) -> None:
        self._facts = Facts([], [], set())

    def process(self, same: tuple[str, Iterable[InspectedImage]]) -> Iterator[Any]:
        images = sorted(same[1], key=lambda image: (image.path, image.location.uri, image.line))
        conflict = _find_conflict(images)
        if conflict:
            yield report_writer.to(report_writer.CONFLICTS, conflict)
            return
        first, *others = images
        source_splits = {image.split for image in images}
        groups = sorted({image.group for image in images if image.group})
        example = first._replace(split=splitting.strictest_split(source_splits), group=groups[0] if groups else "")
        self._add_facts(example, groups)
        yield example
        for duplicate in _describe_duplicates(first, others, source_splits):
            yield report_writer.to(report.DUPLICATES, duplicate)

    def _add_facts(self, example: InspectedImage, groups: Sequence[str]) -> None:
        facts, unit = self._facts, splitting.unit_of(example.key, example.group)
        facts.source_splits.add(example.split)
        if example.facts.perceptual_hash:
            facts.members.append(Member(example.key, unit, example.split, example.facts.perceptual_hash))
        facts.pairs.extend((unit, splitting.unit_of(example.key, group)) for group in groups[1:])

    def finish_bundle(self) -> Iterator[Any]:
        yield bundle_summary.output(FACTS, ("", self._facts))


def _find_conflict(images: Sequence[InspectedImage]) -> dict[str, Any] | None:
    """A row on images that have the same bytes, but different labels or weights."""
    for kind, values in (("labels", [image.label for image in images]), ("weights", [i.weight for i in images])):
        if len(set(values)) > 1:
            named = [_place(image, f"{value}") for image, value in zip(images, values, strict=True)]
            return {"kind": kind, "path": named[0], "with": named[1:]}
    return None


def _place(image: InspectedImage, value: str) -> str:
    """An image with what its source records of it, and the line of the table that does."""
    return f"{image.path} ({value}, line {image.line})" if image.line else f"{image.path} ({value})"


def _describe_duplicates(
    first: InspectedImage, others: Iterable[InspectedImage], source_splits: set[str]
) -> Iterator[dict[str, Any]]:
    named = splitting.strictest_first(source_splits)
    in_splits = {"splits": named} if len(named) > 1 else {}
    for other in others:
        in_lines = {"line": other.line, "same_as_line": first.line} if other.line else {}
        yield {"path": other.path, "same_as": first.path, **in_lines, **in_splits}
