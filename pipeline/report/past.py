"""The report of a run that ended some time ago, from what ML Metadata and the artifacts hold of it."""

from __future__ import annotations

import json
import os
from pathlib import Path

from components.evaluator import verdict
from config.errors import BadInputError
from config.run import RunConfig
from config.stages import EVALUATOR, PUSHER
from pipeline import console, open_metadata, run_metadata
from pipeline.report import run, writing
from pipeline.report.run import ReportedRun
from pipeline.run_metadata import RunRecord
from pipeline.workspace import RunFolder

_CONFIG = "config"  # the parameter of Pusher that holds the run's configuration


def report(folder: str | Path, number: int | None, again: bool) -> Path:
    """The file of a run's report; it is made if there is none yet.

    Args:
      folder: the pipeline's, `<workspace>/<pipeline name>`.
      number: of the run, counted from 1; None: the last one that came to a verdict.
      again: whether it is made even if there is one.

    Raises:
      BadInputError: if there is no such run, it came to no verdict, or its files were removed.
      MetadataError: if the database cannot be read.
    """
    runs = open_metadata.folder_of(folder)
    with open_metadata.opened(runs) as store:
        records = run_metadata.read_runs(store, str(runs.artifacts))
    record = _chosen(records, number)
    kept = runs.report_of(record.id)
    if kept.is_file() and not again:
        return kept
    try:
        with console.redirected(Path(os.devnull)):  # TensorFlow logs a lot
            return writing.save(_run(record, runs), runs)
    except FileNotFoundError as error:
        raise BadInputError(
            f"run {records.index(record) + 1}: {error.filename} is gone; `regraft clean` removes the files of old runs"
        ) from error


def _run(record: RunRecord, runs: RunFolder) -> ReportedRun:
    config = RunConfig.model_validate(json.loads(record.stages[PUSHER].parameters[_CONFIG].string_value))
    directory = config.push.directory or str(runs.serving)
    return run.of_records(
        config, directory, record.stages, record.id, commands=writing.commands("CONFIG", runs), started=record.started
    )


def _chosen(records: list[RunRecord], number: int | None) -> RunRecord:
    judged = [record for record in records if _is_judged(record)]
    if number is None:
        if not judged:
            raise BadInputError(f"none of {len(records)} runs came to a verdict")
        return judged[-1]
    if not 1 <= number <= len(records):
        raise BadInputError(f"--run: 1 to {len(records)} are allowed. Received: {number}")
    if records[number - 1] not in judged:
        raise BadInputError(f"run {number}: it came to no verdict, so it has no report; see regraft history")
    return records[number - 1]


def _is_judged(record: RunRecord) -> bool:
    if PUSHER not in record.stages or EVALUATOR not in record.stages:
        return False
    return Path(record.stages[EVALUATOR].outputs["blessing"].uri, verdict.FILE).is_file()
