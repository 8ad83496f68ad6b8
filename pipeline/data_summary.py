"""What became of the images: counts, class balance and warnings, for programs and for a person."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import rich.box
import rich.markup
import rich.table

from components.evaluator import confidence
from components.evaluator.verdict import ClassFigures
from components.example_validator import drift
from components.image_example_gen import data_warnings, report
from components.image_example_gen.report import Counts
from config.data import EVAL, TEST
from config.errors import listed
from config.gate import GateConfig
from config.stages import EXAMPLE_VALIDATOR, IMAGE_EXAMPLE_GEN
from pipeline import console
from pipeline.run_metadata import StageRecord
from pipeline.workspace import display_path

_PAIRS = 5  # shown in a warning


@dataclass(frozen=True)
class DataSummary:
    """The images of a run.

    Attributes:
      classes: names, in the order of their indices.
      counts: what became of every image.
      drift: what has changed since the version in production was trained.
      warnings: what a reader of the accuracy ought to know.
      report: folder with the lists of quarantined images, duplicates and near-duplicates.
    """

    classes: list[str]
    counts: Counts
    drift: list[drift.Finding]
    warnings: list[str]
    report: str


def collect(records: Mapping[str, StageRecord], gate: GateConfig, classes: Sequence[str] | None = None) -> DataSummary:
    """Gathers what ImageExampleGen and ExampleValidator wrote.

    Args:
      records: stage id to its record.
      gate: of the configuration; its bounds say how many test images a class needs.
      classes: names by index; None: the classes of the examples, sorted.
    """
    folder = records[IMAGE_EXAMPLE_GEN].outputs["report"].uri
    counts = report.read_counts(folder)
    found = drift.loads(Path(records[EXAMPLE_VALIDATOR].outputs["anomalies"].uri, drift.FILE).read_text("utf-8"))
    warnings = [
        *data_warnings.of(counts),
        *_about_content(counts, folder),
        *_about_labels(counts, folder),
        *_about_images(counts),
        *_about_small_classes(counts, gate),
        *(one.message for one in found),
    ]
    return DataSummary(list(classes or counts.classes), counts, found, warnings, folder)


def as_json(summary: DataSummary) -> dict[str, Any]:
    """The section `data` of summary.json."""
    counts = summary.counts
    return {
        "classes": summary.classes,
        "found": counts.found,
        **{split: counts.examples(split) for split in counts.splits},
        "quarantined": counts.quarantined,
        "duplicates": counts.duplicates,
        "transcoded": counts.transcoded,
        "reasons": dict(counts.reasons),
        "near_duplicates": dict(counts.near_duplicates),
        "look_alikes": counts.look_alikes,
        "in_several_splits": counts.in_several_splits,
        "ignored": dict(counts.ignored),
        "split_folders": dict(counts.split_folders),
        "little_content": counts.little_content,
        "drift": [drift.as_json(finding) for finding in summary.drift],
    }


def print_table(summary: DataSummary, terminal: TextIO, figures: Mapping[str, ClassFigures] | None = None) -> None:
    """Prints one row per class, and what became of all images.

    Args:
      summary: of the images.
      terminal: where to print.
      figures: class name to the figures on the test split; None: nothing has been evaluated.
    """
    counts, printer = summary.counts, console.tables(terminal)
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
    table.add_column("class")
    headings = ("share", *counts.splits, *(("test recall", "test precision") if figures is not None else ()))
    for heading in headings:
        table.add_column(heading, justify="right")
    for name in summary.classes:
        numbers = [str(counts.splits[split].get(name, 0)) for split in counts.splits]
        measured = []
        if figures is not None:
            of_class = figures.get(name, ClassFigures(None, None, 0))
            measured = [_percent(of_class.recall), _percent(of_class.precision)]
        table.add_row(rich.markup.escape(name), f"{counts.examples_of(name) / counts.used:.1%}", *numbers, *measured)
    table.add_section()
    table.add_row("all images", "", *(str(counts.examples(split)) for split in counts.splits))
    printer.print(table)
    reasons = ", ".join(f"{reason} {images}" for reason, images in counts.reasons.items())
    print(
        f"{counts.found} images: {counts.used} used, {counts.quarantined} quarantined"
        + (f" ({reasons})" if reasons else "")
        + f", {counts.duplicates} duplicates"
        + (f"; {counts.transcoded} transcoded to PNG" if counts.transcoded else ""),
        file=terminal,
    )
    for note in _notes(counts):
        print(note, file=terminal)
    if counts.quarantined or counts.duplicates or counts.look_alikes or any(counts.near_duplicates.values()):
        print(f"lists of quarantined images and duplicates: {display_path(summary.report)}", file=terminal)


def print_warnings(summary: DataSummary, terminal: TextIO) -> None:
    """Prints one line per warning."""
    for warning in summary.warnings:
        print(f"warning: {warning}", file=terminal)


def gate_power(counts: Counts, gate: GateConfig) -> Iterator[str]:
    """What a verdict on this many test images could show, in sentences.

    Args:
      counts: of the images.
      gate: of the configuration.
    """
    images, sure = counts.examples(TEST), f"{gate.confidence:.0%} confidence"
    if images < gate.min_test_examples:
        yield (
            f"the gate would refuse every model: {images} test images, and gate.min_test_examples is "
            f"{gate.min_test_examples}"
        )
    needed = confidence.images_for_share(gate.min_accuracy, gate.confidence)
    right = math.ceil(gate.min_accuracy * images - 1e-9)  # the fewest that reach the bound
    low, high = confidence.share_bounds(right, images, gate.confidence)
    yield (
        f"{images} test images: the lowest accuracy that passes, {right / images:.1%}, would have the bounds "
        f"{low:.1%} and {high:.1%} ({sure})"
    )
    if needed is not None and images < needed:
        yield (
            f"even a model without a mistake could not prove an accuracy of {gate.min_accuracy:.0%}: that takes "
            f"{needed} test images ({sure})"
        )


def _notes(counts: Counts) -> Iterator[str]:
    """How the folders were read."""
    if counts.split_folders:
        folders = ", ".join(f"{folder} ({split})" for folder, split in counts.split_folders.items())
        missing = [split for split in counts.splits if split not in counts.split_folders.values()]
        rest = f"; {' and '.join(missing)}: taken from train by hash" if missing else ""
        yield f"folders used as splits: {folders}{rest}"
    if counts.ignored:
        kinds = ", ".join(f"{kind} {number}" for kind, number in counts.ignored.items())
        yield f"ignored files and folders, which programs leave beside images: {kinds}"


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


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.2%}"
