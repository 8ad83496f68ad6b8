"""What is left of a run whose files may have been removed, as by `regraft clean`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import tensorflow as tf
import tensorflow_transform as tft
from ml_metadata.proto import metadata_store_pb2

from components.evaluator import predictions
from components.evaluator import verdict as verdicts
from components.example_validator import drift_findings
from components.image_example_gen import report
from components.pusher import properties
from components.serving_check import findings
from config.errors import one_line
from config.gate import GateConfig
from config.stages import EVALUATOR, EXAMPLE_VALIDATOR, IMAGE_EXAMPLE_GEN, PUSHER, SERVING_CHECK, TRAINER, TRANSFORM
from modules.data import transform_graph
from modules.training import history
from pipeline import calibration, data_summary, run_metadata
from pipeline.calibration import Calibration
from pipeline.data_summary import DataSummary
from pipeline.run_metadata import StageRecord
from pipeline.workspace import display_path

_Found = TypeVar("_Found")
# The file or its stage does not exist, it is not what it should be, or an older release wrote it with other fields.
_GONE = (OSError, ValueError, LookupError, TypeError, tf.errors.OpError)


@dataclass(frozen=True)
class StageTime:
    """One stage of the run: wall-clock seconds, and whether its result came from the cache."""

    id: str
    seconds: float
    cached: bool


@dataclass(frozen=True)
class Remains:
    """What is known of a run.

    Attributes:
      pipeline: its name.
      config: the configuration file; empty if its name is not known.
      data: what became of the images; None if ImageExampleGen's report is gone.
      training: what the phases were fitted on and what came of each, see modules/training/history.py; None if nothing
        was trained, or the record is gone.
      calibration: how far the scores are from how often they are right; None if it is not known.
      verdict: on the candidate; None if its file is gone.
      baseline: the version in production that the candidate was compared with; None if there was none.
      serving_check: `refusals` and `measured`, see components/serving_check/findings.py; None if it did not run, or its
        file is gone.
      pushed: the version's folder; None if nothing was pushed.
      rolled_back: the version that this model was until it was rolled back; None for any other candidate.
      current: the current version, if it is this model; None if it is another one.
      same_answers: the current version, if this model gives the same answers as it; None otherwise.
      blessed_anyway: why a refused candidate was pushed; empty if it was not.
      refused_by: names of those that refused it; empty if none did.
      stages: in the order they ran.
    """

    pipeline: str
    config: str
    data: DataSummary | None
    training: dict[str, Any] | None
    calibration: Calibration | None
    verdict: verdicts.Verdict | None
    baseline: int | None
    serving_check: dict[str, Any] | None
    pushed: str | None
    rolled_back: int | None
    current: int | None
    same_answers: int | None
    blessed_anyway: str
    refused_by: str
    stages: Sequence[StageTime]


def if_left(read: Callable[[], _Found]) -> _Found | None:
    """What a function reads from files of a run.

    Args:
      read: the function.

    Returns:
      its result; None if the files are gone or damaged, or the run has no such stage.
    """
    try:
        return read()
    except _GONE as error:
        logging.info("files of the run cannot be read: %s", one_line(error))
        return None


def collect(
    names: tuple[str, str],
    gate: GateConfig,
    push_directory: str,
    records: Mapping[str, StageRecord],
    stages: Sequence[StageTime],
) -> Remains:
    """Gathers what is left.

    Args:
      names: of the pipeline, and of the configuration's file.
      gate: of the configuration.
      push_directory: where versions go.
      records: stage id to its record.
      stages: their times.
    """
    training = if_left(lambda: history.read(records[TRAINER].outputs["model_run"].uri))
    return Remains(
        *names,
        data=if_left(lambda: _data(records, gate)),
        training=training,
        calibration=if_left(lambda: calibration.collect(records, training or {})),
        verdict=if_left(lambda: verdicts.load(records[EVALUATOR].outputs["blessing"].uri)),
        baseline=if_left(lambda: run_metadata.baseline_version(records)),
        serving_check=if_left(lambda: findings.read(records[SERVING_CHECK].outputs["infra_blessing"].uri)),
        stages=stages,
        **pushing(records, push_directory),
    )


def classes(records: Mapping[str, StageRecord]) -> list[str]:
    """The class names by index, from the first source that is left; empty if none is.

    Args:
      records: stage id to its record.
    """

    def of_transform() -> list[str]:
        graph = tft.TFTransformOutput(records[TRANSFORM].outputs["transform_graph"].uri)
        return transform_graph.class_names(graph)

    def of_predictions() -> list[str]:
        return list(predictions.read(records[EVALUATOR].outputs["evaluation"].uri).classes)

    def of_examples() -> list[str]:
        return report.read_counts(records[IMAGE_EXAMPLE_GEN].outputs["report"].uri).classes

    def of_verdict() -> list[str]:
        return sorted(verdicts.load(records[EVALUATOR].outputs["blessing"].uri).per_class)

    found = (if_left(source) for source in (of_transform, of_predictions, of_examples, of_verdict))
    return next(filter(None, found), [])


def _data(records: Mapping[str, StageRecord], gate: GateConfig) -> DataSummary:
    drift = if_left(lambda: drift_findings.read(records[EXAMPLE_VALIDATOR].outputs["anomalies"].uri))
    folder = records[IMAGE_EXAMPLE_GEN].outputs["report"].uri
    return data_summary.of_report(folder, drift or [], gate, classes(records))


def pushing(records: Mapping[str, StageRecord], directory: str) -> dict[str, Any]:
    """What Pusher did: the attributes `pushed` to `refused_by` of `Remains`, from ML Metadata alone.

    Args:
      records: stage id to its record; without Pusher, nothing was pushed.
      directory: where versions go.
    """
    stage = records.get(PUSHER, StageRecord(False, outputs={"pushed_model": metadata_store_pb2.Artifact()}))
    pushed = stage.outputs["pushed_model"].custom_properties
    return {
        "pushed": _pushed(pushed, directory) if pushed["pushed"].int_value else None,
        "rolled_back": pushed[properties.ROLLED_BACK].int_value or None,
        "current": _current(stage),
        "same_answers": pushed[properties.SAME_ANSWERS].int_value or None,
        "blessed_anyway": pushed[properties.BLESSED_ANYWAY].string_value,
        "refused_by": pushed[properties.REFUSED_BY].string_value,
    }


def _pushed(properties: Mapping[str, metadata_store_pb2.Value], directory: str) -> str:
    """The version's folder. The recorded path is not used: the folder may have been moved since."""
    return display_path(Path(directory, properties["pushed_version"].string_value))


def _current(stage: StageRecord) -> int | None:
    pushed = stage.outputs["pushed_model"].custom_properties
    if stage.cached and pushed["pushed"].int_value:
        return int(pushed["pushed_version"].string_value)
    return pushed[properties.CURRENT].int_value or None
