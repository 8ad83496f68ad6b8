"""Checks on the data as a whole, once every image has been inspected and has a split."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from components.image_example_gen.report import Counts
from config.data import TEST, TRAIN
from config.errors import BadInputError

SHOWN = 10  # files listed in a message

_FEWEST = 3  # images (or groups) of a class, of which each split gets one unless data.stratified is false


def check_conflicts(conflicts: Sequence[dict[str, Any]]) -> None:
    """Raises BadInputError if identical images have different labels, or a group is in several splits.

    Args:
      conflicts: rows of `split_assignment.AssignSplits`.
    """
    shown = conflicts[:SHOWN]
    if labels := "; ".join(" = ".join([row["path"], *row["with"]]) for row in shown if row["kind"] == "labels"):
        raise BadInputError(
            f"data.path: identical images have different labels: {labels}; keep each image under one label"
        )
    if groups := "; ".join(f"{row['kind']}: {', '.join([row['path'], *row['with']])}" for row in shown):
        raise BadInputError(
            f"data.path: the source puts a group into several splits: {groups}; put each group into one split"
        )


def check_quarantine(counts: Counts, quarantined: Sequence[dict[str, Any]], max_bad_fraction: float) -> None:
    """Raises BadInputError if there is no image, or more images are unusable than `data.max_bad_fraction` allows.

    Args:
      counts: of all images.
      quarantined: rows of the report.
      max_bad_fraction: of all images, 0 to 1.
    """
    if not counts.found:
        raise BadInputError("data.path: no image was found; add images")
    if counts.quarantined > max_bad_fraction * counts.found:
        shown = "; ".join(f"{row['path']} ({row['reason']})" for row in quarantined[:SHOWN])
        more = f"; and {counts.quarantined - SHOWN} more" if counts.quarantined > SHOWN else ""
        raise BadInputError(
            f"data.path: {counts.quarantined} of {counts.found} files can't be used, more than data.max_bad_fraction "
            f"{max_bad_fraction:g} allows; repair or remove them, or raise data.max_bad_fraction: {shown}{more}"
        )


def check_splits(counts: Counts, source_splits: Collection[str]) -> None:
    """Raises BadInputError if a split is empty.

    Args:
      counts: of all images.
      source_splits: splits to which the source itself assigns images.
    """
    for split in counts.splits:
        if not counts.examples(split):
            raise BadInputError(
                f"data.splits: none of {counts.found - counts.quarantined} images is in the {split} split; add images "
                f"(or groups), or raise the share of {split}{_source_splits_note(source_splits)}"
            )


def check_classes(counts: Counts, classes: Sequence[str], allow_untested: bool, source_splits: Collection[str]) -> None:
    """Raises BadInputError if a class has no usable image, no training image, or no test image.

    Args:
      counts: of all images.
      classes: that must have images.
      allow_untested: whether a class may have no test image.
      source_splits: splits to which the source itself assigns images.
    """
    note = _source_splits_note(source_splits)
    if unusable := [name for name in classes if name not in counts.classes]:
        raise BadInputError(
            f"data.path: no file of {unusable} can be used, because all are quarantined or duplicates; add images to "
            "these classes"
        )
    if untrained := [name for name in classes if name not in counts.splits[TRAIN]]:
        raise BadInputError(
            f"data.splits: no image of {untrained} is in the training split; add images (or groups) to these "
            f"classes{note}"
        )
    untested = [name for name in classes if name not in counts.splits[TEST]]
    if untested and not allow_untested:
        images = ", ".join(f"{name!r} (images in all splits: {counts.examples_of(name)})" for name in untested)
        raise BadInputError(
            f"data.splits: no image of {images} is in the test split, so nothing would be known about it; add images "
            f"(or groups; {_FEWEST} different ones give each split one, unless data.stratified is false), or set "
            f"gate.on_missing_class to warn, which leaves it untested{note}"
        )


def _source_splits_note(source_splits: Collection[str]) -> str:
    return f"; the source itself assigns images to {', '.join(sorted(source_splits))}" if source_splits else ""
