"""The result of a run: `summary.json` for programs, tables for a person."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import tensorflow_transform as tft

from components.evaluator import slice_findings
from components.evaluator import verdict as verdicts
from components.evaluator.slice_findings import Search
from components.evaluator.verdict import ClassFigures
from components.serving_check import findings
from config.errors import listed
from config.run import RunConfig
from config.stages import EVALUATOR, SERVING_CHECK, TRAINER, TRANSFORM
from modules.data import transform_graph, trunk_features
from modules.files import atomic_write
from modules.serving import novelty_threshold
from modules.serving.novelty_threshold import Threshold
from modules.training import history
from modules.tuning import values
from pipeline import (
    calibration,
    data_summary,
    label_summary,
    remains,
    run_metadata,
    slice_summary,
    verdict_table,
    verdict_warnings,
)
from pipeline.data_summary import DataSummary
from pipeline.label_summary import LabelSummary
from pipeline.remains import Remains, StageTime
from pipeline.run_metadata import StageRecord
from pipeline.workspace import display_path


@dataclass(frozen=True)
class Summary(Remains):
    """A run that came to a verdict, with all its files: nothing that is gone can be None.

    Attributes:
      labels: which labels may be wrong; None if the run has no stage LabelCheck.
      novelty: from where on the model calls an image unlike its training images; None if it does not.
      bad_slices: where the candidate is clearly worse; None if nothing was searched.
    """

    data: DataSummary
    training: dict[str, Any]
    verdict: verdicts.Verdict
    serving_check: dict[str, Any]
    labels: LabelSummary | None
    novelty: Threshold | None
    bad_slices: Search | None = None


def collect(
    config: RunConfig,
    config_path: str,
    push_directory: str,
    records: Mapping[str, StageRecord],
    stages: Sequence[StageTime],
) -> Summary:
    """Gathers the summary from what the stages wrote.

    Args:
      config: the run's configuration.
      config_path: the file it was read from.
      push_directory: where versions go.
      records: stage id to its record.
      stages: their times.
    """
    training = history.read(records[TRAINER].outputs["model_run"].uri)
    graph = tft.TFTransformOutput(records[TRANSFORM].outputs["transform_graph"].uri)
    return Summary(
        pipeline=config.name,
        config=display_path(config_path),
        data=data_summary.collect(records, config.gate, transform_graph.class_names(graph)),
        labels=label_summary.collect(records),
        bad_slices=slice_findings.read(records[EVALUATOR].outputs["blessing"].uri),
        training=training,
        calibration=calibration.collect(records, training),
        novelty=novelty_threshold.read(records[TRAINER].outputs["model_run"].uri),
        verdict=verdicts.load(records[EVALUATOR].outputs["blessing"].uri),
        baseline=run_metadata.baseline_version(records),
        serving_check=findings.read(records[SERVING_CHECK].outputs["infra_blessing"].uri),
        stages=stages,
        **remains.pushing(records, push_directory),
    )


def write_json(summary: Summary, path: Path) -> None:
    """Writes the summary as docs/output.md documents it; whole or not at all."""
    atomic_write(path, json.dumps(_as_json(summary), indent=2, ensure_ascii=False) + "\n")


def _as_json(summary: Summary) -> dict[str, Any]:
    verdict = summary.verdict
    nothing = ClassFigures(None, None, 0)
    return {
        "pipeline": summary.pipeline,
        "config": summary.config,
        "data": data_summary.as_json(summary.data),
        "warnings": list(_warnings(summary)),
        "label_check": label_summary.as_json(summary.labels),
        "bad_slices": slice_summary.as_json(summary.bad_slices),
        "training": _training(summary.training),
        "novelty": dataclasses.asdict(summary.novelty) if summary.novelty else None,
        "test": {
            "examples": verdict.examples,
            "accuracy": verdict.accuracy,
            "false_rejects": verdict.false_rejects,
            "per_class": {
                name: dataclasses.asdict(verdict.per_class.get(name, nothing)) for name in summary.data.classes
            },
        },
        "gate": {
            "blessed": verdict.blessed,
            "baseline": summary.baseline,
            "confidence": verdict.confidence,
            "accuracy_bounds": verdict.accuracy_bounds,
            "change": dataclasses.asdict(verdict.change) if verdict.change else None,
            "checks": [dataclasses.asdict(check) for check in verdict.checks],
            "stress": dataclasses.asdict(verdict.stress) if verdict.stress else None,
            "probe": dataclasses.asdict(verdict.probe) if verdict.probe else None,
        },
        "calibration": dataclasses.asdict(summary.calibration) if summary.calibration else None,
        "serving_check": summary.serving_check,
        "pushed": summary.pushed,
        "refused_by": summary.refused_by.split(", ") if summary.refused_by else [],
        "blessed_anyway": summary.blessed_anyway or None,
        "stages": [dataclasses.asdict(stage) for stage in summary.stages],
    }


def _warnings(summary: Summary) -> Iterator[str]:
    """All warnings of the result, in the order in which they are printed."""
    yield from summary.data.warnings
    yield from verdict_warnings.of(summary.verdict, summary.bad_slices)
    yield from label_summary.warnings(summary.labels)


def _training(history: Mapping[str, Any]) -> dict[str, Any]:
    """The history without the figures of each epoch."""
    phases = [
        {
            "phase": record["phase"],
            "epochs": len(record["epochs"]),
            "eval_loss": record["eval_loss"],
            "rolled_back": record["rolled_back"],
            "reason": record["reason"],
            **{name: record[name] for name in ("penalty", "weight", "chosen_by") if name in record},
        }
        for record in history["phases"]
    ]
    return {**history, "phases": phases}


def print_summary(summary: Summary, terminal: TextIO, report: str) -> None:
    """Prints the classes' figures, the warnings, the gate's checks and whether the model was pushed.

    Args:
      summary: of the run.
      terminal: where to print.
      report: where the report is, or why there is none.
    """
    data_summary.print_table(summary.data, terminal, summary.verdict.per_class)
    print(f"trained on {trained_on(summary.training)}", file=terminal)
    if tuned := summary.training["tuned"]:
        print(f"tuned: {values.described(tuned)}", file=terminal)
    data_summary.print_warnings(summary.data, terminal)
    verdict_table.show(summary.verdict, summary.baseline, summary.bad_slices, terminal)
    calibrated = [str(summary.calibration)] if summary.calibration else []
    for line in itertools.chain(_novelty_lines(summary), calibrated, label_summary.lines(summary.labels)):
        print(line, file=terminal)
    for line in verdict_table.serving_check_lines(summary.serving_check):
        print(line, file=terminal)
    print(report, file=terminal)
    print(outcome(summary), file=terminal)


def _novelty_lines(summary: Summary) -> Iterator[str]:
    rejected, threshold = summary.verdict.false_rejects, summary.novelty
    if rejected is not None and threshold is not None:
        how = "set for at most" if threshold.guaranteed else "estimated, from a small eval split, for"
        yield (
            f"none of these: {rejected:.1%} of {summary.verdict.examples} test images are rejected; the threshold is "
            f"{how} {threshold.rate:.1%}"
        )


def trained_on(history: Mapping[str, Any]) -> str:
    """What the training read in each epoch, and whether its second phase was rolled back, in words."""
    reasons = [record["reason"] for record in history["phases"] if record["rolled_back"]]
    rolled_back = f"; fine-tuning was rolled back: {reasons[0]}" if reasons else ""
    if history["mode"] == trunk_features.PIXELS:
        return f"images, because {history['reason']}{rolled_back}"
    views = f", {history['views']} views of each image" if history["views"] > 1 else ""
    return f"kept activations of {history['cut']}{views}{rolled_back}"


def outcome(summary: Remains) -> str:
    """What became of the candidate, as the last line on the terminal says it."""
    if summary.rolled_back:
        return f"nothing was pushed: this model is version {summary.rolled_back}, which was rolled back"
    if summary.pushed is None:
        current = f"; this model is version {summary.current}, in production" if summary.current else ""
        reasons = verdict_table.refusals(summary.verdict, summary.serving_check) if summary.verdict else []
        detail = f"; {listed(reasons, 3)}" if reasons else ""
        return f"not blessed ({summary.refused_by}): nothing was pushed{current}{detail}"
    if summary.blessed_anyway:
        return f"NOT BLESSED ({summary.refused_by}), pushed anyway: {summary.pushed} ({summary.blessed_anyway})"
    if summary.same_answers:
        return f"nothing new to push: the candidate gives the same answers as version {summary.same_answers}"
    if summary.current:
        return f"nothing new to push: this model is {summary.pushed}"
    return f"pushed: {summary.pushed}"
