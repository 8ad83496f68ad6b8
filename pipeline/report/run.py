"""What a report is made of."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from config.stages import CANDIDATE, EVALUATOR

if TYPE_CHECKING:
    from components.evaluator.figures import EvaluationFigures
    from config.run import RunConfig
    from pipeline.remains import Remains
    from pipeline.run_metadata import StageRecord


def of_summary(
    summary: Remains, config: RunConfig | None, records: Mapping[str, StageRecord], run_id: str, **about: Any
) -> ReportedRun:
    """A run that has a summary, of which parts may be gone; reads TFMA's figures.

    The arguments are those of `ReportedRun`.
    """
    import tfx.components.evaluator.executor  # noqa: F401  first: on Python 3.11, TFMA can be imported only after it

    from components.evaluator import results
    from pipeline import remains

    classes = summary.data.classes if summary.data else remains.classes(records)
    evaluation = records[EVALUATOR].outputs["evaluation"].uri
    figures = (
        remains.if_left(lambda: results.read_figures(evaluation, len(classes))) if _is_folder(evaluation) else None
    )
    return ReportedRun(summary, config, records, figures, run_id, classes, **about)


def _is_folder(uri: str) -> bool:
    import tensorflow as tf

    return bool(tf.io.gfile.isdir(uri))


@dataclass(frozen=True)
class ReportedRun:
    """One run that came to a verdict.

    Attributes:
      summary: of the run; parts of it may be gone.
      config: its configuration; None if it was not recorded, as in runs that only judge a model.
      records: stage id to its record; the report reads the files of the artifacts.
      evaluation: TFMA's figures; None if they are gone, as after `regraft clean`.
      run_id: as ML Metadata has it.
      classes: names by index; empty if no file has them any more.
      commands: shell commands that run it again, or say more about it.
      started: in UTC; None if it is not known.
      ended: how it ended, in words, if it did not come to the push; None if it did.
    """

    summary: Remains
    config: RunConfig | None
    records: Mapping[str, StageRecord]
    evaluation: EvaluationFigures | None
    run_id: str
    classes: Sequence[str]
    commands: Sequence[str] = ()
    started: datetime.datetime | None = None
    ended: str | None = None

    @property
    def is_only_judged(self) -> bool:
        """Whether the gate judged a model that existed already: `regraft run --gate-only`."""
        return CANDIDATE in self.records

    def uri(self, stage: str, output: str) -> str | None:
        """The folder of an artifact; None if the run had no such stage, or the stage no such output."""
        record = self.records.get(stage)
        artifact = record.outputs.get(output) if record else None
        return artifact.uri if artifact is not None else None
