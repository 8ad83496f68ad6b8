"""What came of a run: `summary.json` for programs, a table for a person."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import rich.box
import rich.table
import tensorflow_transform as tft

from components.evaluator import verdict as verdicts
from components.evaluator.verdict import ClassFigures
from components.example_validator import drift
from components.image_example_gen import report
from components.image_example_gen.settings import TEST
from components.pusher import properties as pusher
from components.serving_check import findings
from modules import signatures, trainer, trunk_features
from pipeline import class_balance, console, verdict_table
from pipeline.config import Config
from pipeline.run_record import StageRecord
from pipeline.workspace import shown


@dataclass(frozen=True)
class StageTime:
    """One stage of the run: wall-clock seconds, and whether it was answered from the cache."""

    id: str
    seconds: float
    cached: bool


@dataclass(frozen=True)
class Summary:
    """A run that came to a verdict.

    Attributes:
      pipeline: its name.
      config: the configuration file.
      counts: what became of every image.
      drift: what changed since the version in production was trained.
      warnings: what a reader of the accuracy ought to know.
      classes: by index.
      training: what the phases were fitted on and what came of each, see modules/trainer.py.
      verdict: on the candidate.
      baseline: the version in production that the candidate was compared with; None if there was none.
      serving_check: `refusals` and `measured`, see components/serving_check/findings.py.
      pushed: the version's folder; None if the candidate was refused, or is
      withdrawn: the version that it was until that was rolled back; None for any other candidate.
      standing: the current version, if the candidate was that already; None if it was not.
      blessed_anyway: why it was pushed though it was refused; empty if it was not.
      refused_by: names of those that refused it; empty if none did.
      stages: in the order they ran.
    """

    pipeline: str
    config: str
    counts: report.Counts
    drift: list[drift.Finding]
    warnings: list[str]
    classes: list[str]
    training: dict[str, Any]
    verdict: verdicts.Verdict
    baseline: int | None
    serving_check: dict[str, Any]
    pushed: str | None
    withdrawn: int | None
    standing: int | None
    blessed_anyway: str
    refused_by: str
    stages: Sequence[StageTime]


def collect(
    config: Config, config_path: str, records: Mapping[str, StageRecord], stages: Sequence[StageTime]
) -> Summary:
    """Gathers the summary from what the stages wrote.

    Args:
      config: the run's configuration.
      config_path: where it was read from.
      records: stage id to its record.
      stages: their times.
    """
    baseline = records["BaselineModel"].outputs["baseline_model"]
    has_baseline = not baseline.custom_properties["absent"].int_value
    pushed = records["Pusher"].outputs["pushed_model"].custom_properties
    transform_output = tft.TFTransformOutput(records["Transform"].outputs["transform_graph"].uri)
    counts = report.read_counts(records["ImageExampleGen"].outputs["report"].uri)
    found = drift.loads(Path(records["ExampleValidator"].outputs["anomalies"].uri, drift.FILE).read_text("utf-8"))
    return Summary(
        pipeline=config.name,
        config=shown(config_path),
        counts=counts,
        drift=found,
        warnings=[*_about_images(counts), *class_balance.warnings(counts, config.gate), *(one.said for one in found)],
        classes=signatures.class_names(transform_output),
        training=trainer.read_history(records["Trainer"].outputs["model_run"].uri),
        verdict=verdicts.load(records["Evaluator"].outputs["blessing"].uri),
        baseline=baseline.custom_properties["version"].int_value if has_baseline else None,
        serving_check=findings.read(records["ServingCheck"].outputs["infra_blessing"].uri),
        pushed=shown(pushed["pushed_destination"].string_value) if pushed["pushed"].int_value else None,
        withdrawn=pushed[pusher.WITHDRAWN].int_value or None,
        standing=_standing(records["Pusher"]),
        blessed_anyway=pushed[pusher.OVERRIDDEN].string_value,
        refused_by=pushed[pusher.REFUSED_BY].string_value,
        stages=stages,
    )


def _standing(stage: StageRecord) -> int | None:
    pushed = stage.outputs["pushed_model"].custom_properties
    if stage.cached and pushed["pushed"].int_value:
        return int(pushed["pushed_version"].string_value)
    return pushed[pusher.STANDING].int_value or None


def write_json(summary: Summary, path: Path) -> None:
    """Writes the summary as README documents it; whole or not at all."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(_as_json(summary), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def _as_json(summary: Summary) -> dict[str, Any]:
    counts, verdict = summary.counts, summary.verdict
    return {
        "pipeline": summary.pipeline,
        "config": summary.config,
        "data": {
            "classes": summary.classes,
            "found": counts.found,
            **{split: counts.examples(split) for split in counts.splits},
            "quarantined": counts.quarantined,
            "duplicates": counts.duplicates,
            "transcoded": counts.transcoded,
            "reasons": dict(counts.reasons),
            "near_duplicates": dict(counts.near_duplicates),
            "drift": [dataclasses.asdict(finding) for finding in summary.drift],
        },
        "warnings": summary.warnings,
        "training": _training(summary.training),
        "test": {
            "examples": verdict.examples,
            "accuracy": verdict.accuracy,
            "per_class": {name: dataclasses.asdict(_figures(summary, name)) for name in summary.classes},
        },
        "gate": {
            "blessed": verdict.blessed,
            "baseline": summary.baseline,
            "confidence": verdict.confidence,
            "accuracy_bounds": verdict.accuracy_bounds,
            "change": dataclasses.asdict(verdict.change) if verdict.change else None,
            "checks": [dataclasses.asdict(check) for check in verdict.checks],
        },
        "serving_check": summary.serving_check,
        "pushed": summary.pushed,
        "refused_by": summary.refused_by.split(", ") if summary.refused_by else [],
        "blessed_anyway": summary.blessed_anyway or None,
        "stages": [dataclasses.asdict(stage) for stage in summary.stages],
    }


def _training(history: Mapping[str, Any]) -> dict[str, Any]:
    """Of each phase only what came of it."""
    phases = [
        {
            "phase": record["phase"],
            "epochs": len(record["epochs"]),
            "best_eval_loss": record["best_eval_loss"],
            "rolled_back": record["rolled_back"],
        }
        for record in history["phases"]
    ]
    return {**history, "phases": phases}


def print_table(summary: Summary, terminal: TextIO) -> None:
    """Prints the classes' figures, the gate's checks and what was pushed."""
    printer = console.tables(terminal)
    counts = summary.counts
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
    table.add_column("class")
    table.add_column("share", justify="right")
    for heading in (*counts.splits, "test recall", "test precision"):
        table.add_column(heading, justify="right")
    for name in summary.classes:
        figures = _figures(summary, name)
        numbers = [str(counts.splits[split].get(name, 0)) for split in counts.splits]
        share = f"{class_balance.share(counts, name):.1%}"
        table.add_row(rich.markup.escape(name), share, *numbers, _percent(figures.recall), _percent(figures.precision))
    table.add_section()
    table.add_row("all images", "", *(str(counts.examples(split)) for split in counts.splits))
    printer.print(table)
    used = sum(map(counts.examples, counts.splits))
    printer.print(
        f"{counts.found} images: {used} used, quarantined: {counts.quarantined}, duplicates: {counts.duplicates}"
        + (f"; {counts.transcoded} transcoded to PNG" if counts.transcoded else "")
    )
    printer.print(f"trained on {_trained_on(summary.training)}")
    for warning in summary.warnings:
        print(f"warning: {warning}", file=terminal)
    verdict_table.show(summary.verdict, summary.baseline, terminal)
    for line in verdict_table.served(summary.serving_check):
        print(line, file=terminal)
    print(_outcome(summary), file=terminal)


def _trained_on(history: Mapping[str, Any]) -> str:
    if history["mode"] == trunk_features.PIXELS:
        return f"images: {history['reason']}"
    views = f", {history['views']} views an image" if history["views"] > 1 else ""
    return f"kept activations of {history['cut']}{views}"


def _figures(summary: Summary, name: str) -> ClassFigures:
    return summary.verdict.per_class.get(name, ClassFigures(None, None, 0))


def _about_images(counts: report.Counts) -> list[str]:
    said = []
    if near := {split: images for split, images in counts.near_duplicates.items() if images}:
        numbers = ", ".join(f"{images} in {split}" for split, images in near.items())
        said.append(
            f"{sum(near.values())} images resemble others in another split ({numbers}): the test may be easier than "
            "new images are; data.near_duplicates: group keeps them together"
        )
    if untested := [name for name in counts.classes if not counts.splits[TEST].get(name)]:
        names = ", ".join(untested)
        said.append(f"no test images of {names}: the gate has seen nothing of them; more images are needed")
    return said


def _outcome(summary: Summary) -> str:
    if summary.withdrawn:
        return f"nothing was pushed: this model is version {summary.withdrawn}, which was rolled back"
    if summary.pushed is None:
        current = f"; this model is version {summary.standing}, in production" if summary.standing else ""
        return f"not blessed ({summary.refused_by}): nothing was pushed{current}"
    if summary.blessed_anyway:
        return f"NOT BLESSED ({summary.refused_by}), pushed all the same: {summary.pushed} ({summary.blessed_anyway})"
    if summary.standing:
        return f"nothing new to push: this model is {summary.pushed}"
    return f"pushed: {summary.pushed}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.2%}"
