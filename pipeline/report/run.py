"""What a report is made of."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from config.run import RunConfig
    from pipeline.run_metadata import StageRecord
    from pipeline.summary import Summary


@dataclass(frozen=True)
class ReportedRun:
    """One run that came to a verdict.

    Attributes:
      summary: of the run.
      config: its configuration.
      records: stage id to its record; the report reads the files of the artifacts.
      run_id: as ML Metadata has it.
      started: in UTC; None if it is not known.
    """

    summary: Summary
    config: RunConfig
    records: Mapping[str, StageRecord]
    run_id: str
    started: datetime.datetime | None = None

    def uri(self, stage: str, output: str) -> str | None:
        """The folder of an artifact; None if the run had no such stage, or the stage no such output."""
        record = self.records.get(stage)
        artifact = record.outputs.get(output) if record else None
        return artifact.uri if artifact is not None else None
