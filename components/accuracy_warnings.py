"""What a reader of the accuracy ought to know about the images: for the summary of a run, and the model card."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator

from components.evaluator import confidence
from components.example_validator import drift_findings
from components.image_example_gen import data_warnings, report, shortcuts
from components.image_example_gen.report import Counts
from config.data import EVAL, TEST
from config.errors import listed
from config.gate import GateConfig
from modules.files import printable

_PAIRS = 5  # shown in a warning


def of(counts: Counts, folder: str, gate: GateConfig, changes: Iterable[drift_findings.Finding]) -> Iterator[str]:
    """One sentence per warning. Paths in it are printable, whatever bytes the file system allows.

    Args:
      counts: of the images.
      folder: of the ingest report, which has the lists of images.
      gate: of the configuration; its bounds say how many test images a class needs.
      changes: of the data, since the version in production was trained.
    """
    warnings = (
        data_warnings.of(counts),
        _about_content(counts, folder),
        _about_labels(counts, folder),
        _about_images(counts),
        shortcuts.warnings(shortcuts.read(folder)),
        _about_small_classes(counts, gate),
        (one.message for one in changes),
    )
    yield from map(printable, itertools.chain.from_iterable(warnings))


def _about_content(counts: Counts, folder: str) -> Iterator[str]:
    if counts.little_content:
        rows = report.read_rows(os.path.join(folder, report.LITTLE_CONTENT))
        yield (
            f"images that show next to nothing (one colour, or fewer than 8 grey levels): {counts.little_content}; "
            f"{listed([row['path'] for row in rows])}; look at them, and remove those that are blank by mistake; "
            f"{report.LITTLE_CONTENT} in the report lists all"
        )


def _about_labels(counts: Counts, folder: str) -> Iterator[str]:
    """That images which look the same have different labels, in whatever splits they are."""
    if counts.look_alikes:
        rows = report.read_rows(os.path.join(folder, report.NEAR_DUPLICATES))
        pairs = [
            " = ".join(f"{path} ({label})" for label, path in row["examples"].items())
            for row in rows
            if len(row["labels"]) > 1
        ]
        yield (
            f"{counts.look_alikes} images look the same but have different labels: {'; '.join(pairs[:_PAIRS])}"
            + (f"; and {len(pairs) - _PAIRS} more" if len(pairs) > _PAIRS else "")
            + f"; look at them, and correct the labels; {report.NEAR_DUPLICATES} in the report lists all"
        )


def _about_images(counts: Counts) -> Iterator[str]:
    if counts.in_several_splits:
        yield (
            f"images that the source has in several splits (same bytes): {counts.in_several_splits}; each is used "
            "once: in test, else in eval; duplicates.jsonl lists them"
        )
    if near := {split: images for split, images in counts.near_duplicates.items() if images}:
        numbers = ", ".join(f"{images} in {split}" for split, images in near.items())
        yield (
            f"{sum(near.values())} images look like images in another split ({numbers}), so the test may be easier "
            "than new images are; data.near_duplicates: group keeps them in one split"
        )
    if untested := [name for name in counts.classes if not counts.splits[TEST].get(name)]:
        yield f"no test images of {listed(untested)}, so the gate cannot judge these classes; add images"
    if unwatched := [name for name in counts.classes if not counts.splits[EVAL].get(name)]:
        yield f"no eval images of {listed(unwatched)}, so training stops early without regard to them; add images"


def _about_small_classes(counts: Counts, gate: GateConfig) -> Iterator[str]:
    """One line for all classes with too few test images for their bound to mean anything."""
    few = []
    for name in counts.classes:
        images = counts.splits[TEST].get(name, 0)
        needed = confidence.images_for_share(gate.recall_bound(name), gate.confidence)
        if images and needed is not None and images < needed:
            few.append((images, name, needed))
    if few:
        images, name, _ = min(few)
        worst, _ = confidence.share_bounds(images, images, gate.confidence)
        names = listed([f"{name} {images} (needed: {needed})" for images, name, needed in sorted(few)])
        yield (
            f"few test images: {names}; even with all correct, recall of {name} could be as low as {worst:.0%} "
            f"({gate.confidence:.0%} confidence)"
        )
