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
import rich.console
import rich.table
import tensorflow_transform as tft

from components.image_example_gen import report
from modules import signatures, trainer, trunk_features
from pipeline import gate
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
      counts: what became of every file.
      classes: by index.
      training: what the phases were fitted on and what came of each, see modules/trainer.py.
      evaluation: on the test split.
      baseline: the version in production that the candidate was compared with; None if there was none.
      pushed: the version's folder; None if the candidate was not blessed.
      stages: in the order they ran.
    """

    pipeline: str
    config: str
    counts: report.Counts
    classes: list[str]
    training: dict[str, Any]
    evaluation: gate.Evaluation
    baseline: int | None
    pushed: str | None
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
    evaluation_uri = records["Evaluator"].outputs["evaluation"].uri
    transform_output = tft.TFTransformOutput(records["Transform"].outputs["transform_graph"].uri)
    return Summary(
        pipeline=config.name,
        config=shown(config_path),
        counts=report.read_counts(records["ImageExampleGen"].outputs["report"].uri),
        classes=signatures.class_names(transform_output),
        training=trainer.read_history(records["Trainer"].outputs["model_run"].uri),
        evaluation=gate.read_evaluation(evaluation_uri, config.gate, has_baseline),
        baseline=baseline.custom_properties["version"].int_value if has_baseline else None,
        pushed=shown(pushed["pushed_destination"].string_value) if pushed["pushed"].int_value else None,
        stages=stages,
    )


def write_json(summary: Summary, path: Path) -> None:
    """Writes the summary as README documents it; whole or not at all."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(_as_json(summary), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def _as_json(summary: Summary) -> dict[str, Any]:
    counts, evaluation = summary.counts, summary.evaluation
    return {
        "pipeline": summary.pipeline,
        "config": summary.config,
        "data": {
            "classes": summary.classes,
            "found": counts.found,
            **{split: counts.examples(split) for split in counts.splits},
            "quarantined": counts.quarantined,
            "duplicates": counts.duplicates,
        },
        "training": _training(summary.training),
        "test": {
            "examples": evaluation.examples,
            "accuracy": evaluation.accuracy,
            "per_class": {name: dataclasses.asdict(_figures(summary, name)) for name in summary.classes},
        },
        "gate": {
            "blessed": evaluation.blessed,
            "baseline": summary.baseline,
            "checks": [dataclasses.asdict(check) for check in evaluation.checks],
        },
        "pushed": summary.pushed,
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
    console = rich.console.Console(file=terminal, highlight=False)
    counts, evaluation = summary.counts, summary.evaluation
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
    table.add_column("class")
    for heading in (*counts.splits, "test recall", "test precision"):
        table.add_column(heading, justify="right")
    for name in summary.classes:
        figures = _figures(summary, name)
        numbers = [str(counts.splits[split].get(name, 0)) for split in counts.splits]
        table.add_row(rich.markup.escape(name), *numbers, _percent(figures.recall), _percent(figures.precision))
    table.add_section()
    table.add_row("all images", *(str(counts.examples(split)) for split in counts.splits))
    console.print(table)
    used = sum(map(counts.examples, counts.splits))
    console.print(
        f"{counts.found} files: {used} used, quarantined: {counts.quarantined}, duplicates: {counts.duplicates}"
    )
    console.print(f"trained on {_trained_on(summary.training)}")
    console.print(f"accuracy on test: {_percent(evaluation.accuracy)} of {evaluation.examples} images")
    for warning in _warnings(summary):
        print(f"warning: {warning}", file=terminal)
    for check in evaluation.checks:
        print(_check_line(check, summary.baseline), file=terminal)
    print(_verdict(summary), file=terminal)


def _trained_on(history: Mapping[str, Any]) -> str:
    if history["mode"] == trunk_features.PIXELS:
        return f"images: {history['reason']}"
    views = f", {history['views']} views an image" if history["views"] > 1 else ""
    return f"kept activations of {history['cut']}{views}"


def _figures(summary: Summary, name: str) -> gate.ClassFigures:
    index = summary.classes.index(name)
    return summary.evaluation.per_class.get(index, gate.ClassFigures(None, None, 0))


def _check_line(check: gate.Check, baseline: int | None) -> str:
    verdict = "passed" if check.passed else "FAILED"
    against = f" against version {baseline}" if check.metric.endswith("_change") else ""
    margin = abs(check.value - check.bound)
    return (
        f"gate: {check.metric}{against} ({check.slice}) {check.value:.4f}, at least {check.bound:g} wanted: "
        f"{verdict} by {margin:.4f}"
    )


def _warnings(summary: Summary) -> list[str]:
    """What a reader of the accuracy ought to know."""
    untested = [name for name in summary.classes if not summary.counts.splits["test"].get(name)]
    if not untested:
        return []
    return [f"no test images of {', '.join(untested)}: the gate has seen nothing of it; more images are needed"]


def _verdict(summary: Summary) -> str:
    if summary.pushed is None:
        return "not blessed: nothing was pushed"
    if all(stage.cached for stage in summary.stages if stage.id == "Pusher"):
        return f"nothing new to push: this model is {summary.pushed}"
    return f"pushed: {summary.pushed}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.2%}"
