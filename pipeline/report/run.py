"""What a report is made of."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from config.stages import EVALUATOR

if TYPE_CHECKING:
    from components.evaluator.figures import EvaluationFigures
    from config.run import RunConfig
    from pipeline.run_metadata import StageRecord
    from pipeline.summary import Summary


def of_records(
    config: RunConfig, push_directory: str, records: Mapping[str, StageRecord], run_id: str, **about: Any
) -> ReportedRun:
    """A run from the records of its stages, in another program than its own.

    Args:
      config: of the run.
      push_directory: where versions go.
      records: stage id to its record.
      run_id: as ML Metadata has it.
      **about: `commands` and `started` of `ReportedRun`.

    Raises:
      OSError: if the file of the verdict, or another one, is gone.
    """
    from pipeline import summary

    times = [summary.StageTime(name, round(stage.seconds, 1), stage.cached) for name, stage in records.items()]
    found = summary.collect(config, "", push_directory, records, times)
    return of_summary(dataclasses.replace(found, config=""), config, records, run_id, **about)


def of_summary(
    summary: Summary, config: RunConfig, records: Mapping[str, StageRecord], run_id: str, **about: Any
) -> ReportedRun:
    """A run that has a summary; reads TFMA's figures. The arguments are those of `ReportedRun`."""
    import tfx.components.evaluator.executor  # noqa: F401  first: TFMA can be imported only after it

    from components.evaluator import results

    evaluation = records[EVALUATOR].outputs["evaluation"].uri
    figures = results.read_figures(evaluation, len(summary.data.classes)) if _is_folder(evaluation) else None
    return ReportedRun(summary, config, records, figures, run_id, **about)


def _is_folder(uri: str) -> bool:
    import tensorflow as tf

    return bool(tf.io.gfile.isdir(uri))


@dataclass(frozen=True)
class ReportedRun:
    """One run that came to a verdict.

    Attributes:
      summary: of the run.
      config: its configuration.
      records: stage id to its record; the report reads the files of the artifacts.
      evaluation: TFMA's figures; None if they are gone, as after `regraft clean`.
      run_id: as ML Metadata has it.
      commands: shell commands that run it again, or say more about it.
      started: in UTC; None if it is not known.
    """

    summary: Summary
    config: RunConfig
    records: Mapping[str, StageRecord]
    evaluation: EvaluationFigures | None
    run_id: str
    commands: Sequence[str] = ()
    started: datetime.datetime | None = None

    def uri(self, stage: str, output: str) -> str | None:
        """The folder of an artifact; None if the run had no such stage, or the stage no such output."""
        record = self.records.get(stage)
        artifact = record.outputs.get(output) if record else None
        return artifact.uri if artifact is not None else None
