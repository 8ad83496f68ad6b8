"""What became of the images: counts, class balance and warnings, for programs and for a person."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

import rich.box
import rich.markup
import rich.table

from components import accuracy_warnings
from components.evaluator import confidence
from components.evaluator.verdict import ClassFigures
from components.example_validator import drift_findings
from components.image_example_gen import report
from components.image_example_gen.report import Counts
from config.data import TEST
from config.gate import GateConfig
from config.stages import EXAMPLE_VALIDATOR, IMAGE_EXAMPLE_GEN
from pipeline import console
from pipeline.run_metadata import StageRecord
from pipeline.workspace import display_path


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
    drift: list[drift_findings.Finding]
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
    drift = drift_findings.read(records[EXAMPLE_VALIDATOR].outputs["anomalies"].uri)
    return of_report(folder, drift, gate, classes)


def of_report(
    folder: str, drift: list[drift_findings.Finding], gate: GateConfig, classes: Sequence[str] | None
) -> DataSummary:
    """The summary of an ingest report.

    Args:
      folder: of the report.
      drift: what ExampleValidator found.
      gate: as in `collect`.
      classes: as in `collect`.
    """
    counts = report.read_counts(folder)
    warnings = list(accuracy_warnings.of(counts, folder, gate, drift))
    return DataSummary(list(classes or counts.classes), counts, drift, warnings, folder)


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
        "drift": [drift_findings.as_json(finding) for finding in summary.drift],
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
    if kinds := list(_listed_kinds(counts)):
        names = " and ".join(filter(None, [", ".join(kinds[:-1]), kinds[-1]]))
        print(f"lists of {names}: {display_path(summary.report)}", file=terminal)


def print_warnings(summary: DataSummary, terminal: TextIO) -> None:
    """Prints one line per warning."""
    for warning in summary.warnings:
        print(f"warning: {warning}", file=terminal)


def gate_warnings(counts: Counts, gate: GateConfig) -> Iterator[str]:
    """Why the gate would refuse every model, in sentences.

    Args:
      counts: of the images.
      gate: of the configuration.
    """
    images = counts.examples(TEST)
    if images < gate.min_test_examples:
        yield (
            f"the gate would refuse every model: {images} test images, and gate.min_test_examples is "
            f"{gate.min_test_examples}"
        )


def gate_power(counts: Counts, gate: GateConfig) -> Iterator[str]:
    """What a verdict on this many test images could show, in sentences.

    Args:
      counts: of the images.
      gate: of the configuration.
    """
    images, sure = counts.examples(TEST), f"{gate.confidence:.0%} confidence"
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


def _listed_kinds(counts: Counts) -> Iterator[str]:
    """What the lists beside the examples have."""
    if counts.quarantined:
        yield "quarantined images"
    if counts.duplicates:
        yield "duplicates"
    if counts.look_alikes or any(counts.near_duplicates.values()):
        yield "near-duplicates"


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


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.2%}"
