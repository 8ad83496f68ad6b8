"""The report of a run that ended some time ago, from what ML Metadata and the artifacts hold of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from config.errors import BadInputError
from config.gate import GateConfig
from config.run import RunConfig
from config.stages import CANDIDATE, EVALUATOR, PUSHER
from modules.files import atomic_write
from pipeline import console, history
from pipeline.report import run, writing
from pipeline.report.run import ReportedRun
from pipeline.run_metadata import RunRecord
from pipeline.workspace import RunFolder

if TYPE_CHECKING:
    from pipeline.history import PastRun

_CONFIG = "config"  # the parameter of Pusher that holds the run's configuration
_GATE = "gate"  # the parameter of Evaluator that holds its section `gate`


def report(folder: str | Path, number: int | None, again: bool) -> Path:
    """The file of a run's report; it is made if there is none yet, from the files that are left.

    If the run is the last one of the pipeline, its `report.html` is made again too.

    Args:
      folder: the pipeline's, `<workspace>/<pipeline name>`.
      number: of the run, counted from 1; None: the last one that came to a verdict.
      again: whether it is made even if there is one.

    Raises:
      BadInputError: if there is no such run, or it came to no verdict.
      MetadataError: if the database cannot be read.
    """
    runs, records, past = history.read(folder)
    record = _chosen(records, number)
    kept = runs.report_of(record.id)
    if kept.is_file() and not again:
        return kept
    with console.redirected(Path(os.devnull)):  # TensorFlow logs a lot
        made = writing.save(_run(record, past[records.index(record)], runs, _is_last(record, records)), runs)
    if _is_last(record, records):
        atomic_write(runs.report, made.read_bytes())
    return made


def _is_last(record: RunRecord, records: list[RunRecord]) -> bool:
    """Whether `report.html` and `summary.json` of the pipeline are of this run; runs that only judge have neither."""
    return PUSHER in record.stages and record == [one for one in records if CANDIDATE not in one.stages][-1]


def _run(record: RunRecord, past: PastRun, runs: RunFolder, is_last: bool) -> ReportedRun:
    """The run, from what is left of it; `summary.json` has the name of the last run's configuration file."""
    from pipeline import remains
    from pipeline.remains import StageTime

    stages = record.stages
    config, gate = None, GateConfig.model_validate_json(stages[EVALUATOR].parameters[_GATE].string_value)
    if PUSHER in stages:
        config = RunConfig.model_validate(json.loads(stages[PUSHER].parameters[_CONFIG].string_value))
    directory = config.push.directory if config else None
    times = [StageTime(name, round(stage.seconds, 1), stage.cached) for name, stage in stages.items()]
    summary = remains.if_left(lambda: json.loads(runs.summary.read_text(encoding="utf-8"))) if is_last else None
    names = config.name if config else runs.path.name, str((summary or {}).get("config", ""))
    left = remains.collect(names, gate, directory or str(runs.serving), stages, times)
    next_steps = writing.commands(names[1], runs, past.number)
    about = {"commands": next_steps if config else next_steps[1:], "started": record.started}
    return run.of_summary(left, config, stages, record.id, ended=None if config else past.outcome, **about)


def _chosen(records: list[RunRecord], number: int | None) -> RunRecord:
    judged = [EVALUATOR in record.stages for record in records]
    index = history.chosen_index(judged, number)
    if not judged[index]:
        raise BadInputError(f"run {number}: it came to no verdict, so it has no report; see regraft history")
    return records[index]
