"""Checks on the data as a whole, once every image has been inspected and has a split."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from components.image_example_gen.quarantine import BadImagesError, because, check_rejected
from components.image_example_gen.report import Counts
from config.data import TEST, TRAIN
from config.errors import BadInputError

SHOWN = 10  # files listed in a message

Rows = Sequence[dict[str, Any]]

_FEWEST = 3  # images (or groups) of a class, of which each split gets one unless data.stratified is false


def check_conflicts(conflicts: Rows) -> None:
    """Raises BadImagesError if identical images have different labels or weights, or a group is in several splits.

    Args:
      conflicts: rows of the report `report_writer.CONFLICTS`.
    """
    for kind in ("labels", "weights"):
        if rows := [row for row in conflicts if row["kind"] == kind]:
            shown = "; ".join(" = ".join([row["path"], *row["with"]]) for row in rows[:SHOWN])
            raise BadImagesError(
                f"data.path: identical images have different {kind}: {shown}{_more(rows)}; keep each image under one "
                f"{kind[:-1]}",
                conflicts,
            )
    if conflicts:
        shown = "; ".join(f"{row['kind']}: {', '.join([row['path'], *row['with']])}" for row in conflicts[:SHOWN])
        raise BadImagesError(
            f"data.path: the source puts a group into several splits: {shown}{_more(conflicts)}; put each group into "
            "one split",
            conflicts,
        )


def check_quarantine(counts: Counts, quarantined: Rows, max_bad_fraction: float) -> None:
    """Raises BadInputError if no image can be used, or fewer than `data.max_bad_fraction` demands.

    Args:
      counts: of all images.
      quarantined: rows of the report.
      max_bad_fraction: of all images, 0 to 1.
    """
    if not counts.found:
        raise BadInputError("data.path: no image was found; add images")
    check_rejected(quarantined, counts.found, max_bad_fraction)


def check_splits(counts: Counts, source_splits: Collection[str], quarantined: Rows = ()) -> None:
    """Raises BadImagesError if a split is empty.

    Args:
      counts: of all images.
      source_splits: splits to which the source itself assigns images.
      quarantined: rows of the report.
    """
    for split in counts.splits:
        if not counts.examples(split):
            raise BadImagesError(
                f"data.splits: none of {counts.found - counts.quarantined} images is in the {split} split; add images "
                f"(or groups), or raise the share of {split}"
                f"{_near_duplicates_note(counts, counts.classes, source_splits)}{_source_splits_note(source_splits)}"
                f"{_quarantine_note(quarantined)}",
                quarantined,
            )


def check_classes(
    counts: Counts,
    classes: Sequence[str],
    allow_untested: bool,
    source_splits: Collection[str],
    quarantined: Rows = (),
) -> None:
    """Raises BadImagesError if there is one class, or a class has no usable image, no training image, or no test image.

    Args:
      counts: of all images.
      classes: that must have images.
      allow_untested: whether a class may have no test image.
      source_splits: splits to which the source itself assigns images.
      quarantined: rows of the report.
    """
    note = f"{_source_splits_note(source_splits)}{_quarantine_note(quarantined)}"
    if unusable := [name for name in classes if name not in counts.classes]:
        raise BadImagesError(
            f"data.path: no file of {unusable} can be used, because all are quarantined or duplicates; add images to "
            f"these classes{_quarantine_note(quarantined)}",
            quarantined,
        )
    if len(counts.classes) < 2:
        raise BadImagesError(
            f"data.path: two classes or more are needed; add images of another class. Found: {counts.classes}"
            f"{_quarantine_note(quarantined)}",
            quarantined,
        )
    if untrained := [name for name in classes if name not in counts.splits[TRAIN]]:
        raise BadImagesError(
            f"data.splits: no image of {untrained} is in the training split; add images (or groups) to these "
            f"classes{_near_duplicates_note(counts, untrained, source_splits)}{note}",
            quarantined,
        )
    untested = [name for name in classes if name not in counts.splits[TEST]]
    if untested and not allow_untested:
        images = ", ".join(f"{name!r} (images in all splits: {counts.examples_of(name)})" for name in untested)
        note = f"{_near_duplicates_note(counts, untested, source_splits)}{note}"
        raise BadImagesError(
            f"data.splits: no image of {images} is in the test split, so nothing would be known about it; add images "
            f"(or groups; {_FEWEST} different ones give each split one, unless data.stratified is false), or set "
            f"gate.on_missing_class to warn, which leaves it untested{note}",
            quarantined,
        )


def check_weights(counts: Counts) -> None:
    """Raises BadInputError if all training images of a class have the weight 0: nothing would be learned of it."""
    weights = counts.weights.get(TRAIN, {})
    if not (weightless := sorted(name for name, weight in weights.items() if weight == 0)):
        return
    if len(weightless) == len(weights):
        raise BadInputError(
            f"data.path: the weights of all {counts.examples(TRAIN)} images in the train split are 0; correct the "
            "weights"
        )
    raise BadInputError(
        f"data.path: the weights of all images of {weightless} in the train split are 0, so nothing would be learned "
        "of these classes; correct the weights, or remove the images of these classes"
    )


def _near_duplicates_note(counts: Counts, names: Collection[str], source_splits: Collection[str]) -> str:
    """That images are missing because similar ones must be in one split; empty if that is not the cause."""
    if source_splits:  # such images stay where the source has them
        return ""
    few = {name: number for name in names if (number := counts.pictures.get(name, _FEWEST)) < _FEWEST}
    shown = ", ".join(f"the {counts.examples_of(name)} images of {name!r} count as {few[name]}" for name in few)
    return (
        f"; data.near_duplicates: group keeps images that look the same in one split, so {shown}; add images that "
        "look different, or set it to report"
        if few
        else ""
    )


def _more(rows: Rows) -> str:
    return f"; and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""


def _quarantine_note(quarantined: Rows) -> str:
    return f"; {because(quarantined)}" if quarantined else ""


def _source_splits_note(source_splits: Collection[str]) -> str:
    return f"; the source itself assigns images to {', '.join(sorted(source_splits))}" if source_splits else ""
