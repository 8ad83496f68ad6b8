"""Past runs of a pipeline: for `regraft history` and `regraft explain`."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, TypeVar

import rich.box
import rich.table

from components.evaluator import slice_findings
from components.evaluator import verdict as verdicts
from components.evaluator.slice_findings import Search
from components.pusher import properties
from components.serving_check import findings
from components.serving_directory import ServingDirectory, ServingError
from config.errors import BadInputError
from config.stages import CANDIDATE, EVALUATOR, PUSHER, SERVING_CHECK
from pipeline import console, open_metadata, run_metadata, slice_summary, verdict_table, verdict_warnings, versions
from pipeline.run_metadata import RunRecord, StageRecord
from pipeline.workspace import RunFolder

_OF_PUSHER = ("config", "outside_state")  # parameters; the second is components.state_driver.STATE, without TFX
_Found = TypeVar("_Found")
_UNREADABLE = (OSError, ValueError, TypeError, LookupError)  # deleted, not JSON, or with other fields


@dataclass(frozen=True)
class PastRun:
    """One run of a pipeline, as ML Metadata has it.

    Attributes:
      number: counted from 1, the oldest first.
      started: in UTC.
      verdict: on its candidate; None if the run did not get that far, or the verdict's file was deleted or damaged.
      baseline: the version the candidate was compared with; None if there was none.
      serving_check: `refusals` and `measured`, see components/serving_check/findings.py; None if it did not run.
      outcome: how the run ended, in words.
      is_deleted: whether there was a verdict, and its file was deleted or damaged.
      since: what was done with the version that it pushed, in words, see `versions.since_push`.
      bad_slices: where the candidate is clearly worse; None if nothing was searched, or the file is gone.
    """

    number: int
    started: datetime.datetime
    verdict: verdicts.Verdict | None
    baseline: int | None
    serving_check: dict[str, Any] | None
    outcome: str
    is_deleted: bool = False
    since: tuple[str, ...] = ()
    bad_slices: Search | None = None


def past_runs(folder: str | Path) -> list[PastRun]:
    """Every run of a pipeline, the oldest first.

    Args:
      folder: the pipeline's, `<workspace>/<pipeline name>`.

    Raises:
      BadInputError: if the folder holds no runs, or the database is damaged.
      MetadataError: if another program locks the database, or it cannot be read for another reason.
    """
    runs, records, past = read(folder)
    return [
        dataclasses.replace(one, since=_since_push(record, runs)) for one, record in zip(past, records, strict=True)
    ]


def read(folder: str | Path) -> tuple[RunFolder, list[RunRecord], list[PastRun]]:
    """Every run of a pipeline in both forms, the oldest first, and the folder; the errors are those of `past_runs`.

    `since` is empty: it takes the manifests of all versions.
    """
    runs = open_metadata.folder_of(folder)
    with open_metadata.opened(runs) as store:
        records = run_metadata.read_runs(store, str(runs.artifacts))
    running = len(records) if runs.is_in_use() else None
    return runs, records, [_past_run(number, run, number == running) for number, run in enumerate(records, start=1)]


def chosen_run(runs: list[PastRun], number: int | None) -> PastRun:
    """One of the runs.

    Args:
      runs: all of them.
      number: which; None: the last one that came to a verdict.

    Raises:
      BadInputError: if there is no such run.
    """
    return runs[chosen_index([run.verdict is not None for run in runs], number)]


def chosen_index(judged: Sequence[bool], number: int | None) -> int:
    """The index of a run that a person asks for.

    Args:
      judged: of each run, the oldest first, whether it came to a verdict.
      number: which, counted from 1; None: the last one that came to a verdict.

    Raises:
      BadInputError: if there is no such run.
    """
    if number is None:
        if not any(judged):
            raise BadInputError(f"none of {len(judged)} runs came to a verdict" if judged else "no runs yet")
        return max(index for index, came_to_verdict in enumerate(judged) if came_to_verdict)
    if not 1 <= number <= len(judged):
        raise BadInputError(f"--run: 1 to {len(judged)} are allowed. Received: {number}")
    return number - 1


def print_history(runs: list[PastRun], terminal: TextIO) -> None:
    """Prints one line per run."""
    if not runs:
        print("no runs yet", file=terminal)
        return
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
    for heading in ("run", "started (UTC)", "accuracy", "baseline", "outcome"):
        table.add_column(heading)
    for run in runs:
        table.add_row(*_row(run))
    console.tables(terminal).print(table)


def explain(run: PastRun, as_json: bool, terminal: TextIO) -> None:
    """Prints every check of one run.

    Args:
      run: which.
      as_json: for programs, with the serving check.
      terminal: where to print.

    Raises:
      BadInputError: if the run has no verdict.
    """
    if run.verdict is None:
        if run.is_deleted:
            raise BadInputError(f"run {run.number}: the file of its verdict was deleted or damaged; {run.outcome}")
        raise BadInputError(f"run {run.number} has no verdict: {run.outcome}")
    if as_json:
        started = run.started.isoformat(timespec="milliseconds")
        about = {"run": run.number, "started": started, "outcome": run.outcome}
        judged = {**verdicts.as_json(run.verdict), "baseline": run.baseline}  # verdicts of 0.4.0 do not have it
        more = {
            "bad_slices": slice_summary.as_json(run.bad_slices),
            "warnings": list(verdict_warnings.of(run.verdict, run.bad_slices)),
        }
        content = {**about, **judged, **more, "serving_check": run.serving_check}
        print(json.dumps(content, indent=2), file=terminal)
        return
    print(f"run {run.number}, started {run.started:%Y-%m-%d %H:%M:%S} UTC: {run.outcome}", file=terminal)
    verdict_table.show(run.verdict, run.baseline, run.bad_slices, terminal)
    for line in verdict_table.serving_check_lines(run.serving_check) if run.serving_check else ():
        print(line, file=terminal)


def _past_run(number: int, run: RunRecord, is_running: bool) -> PastRun:
    stages = run.stages
    found = _left(stages, EVALUATOR, "blessing", verdicts.load)
    search = _left(stages, EVALUATOR, "blessing", slice_findings.read)
    checked = _left(stages, SERVING_CHECK, "infra_blessing", findings.read)
    baseline = run_metadata.baseline_version(stages) if EVALUATOR in stages else None
    is_deleted = EVALUATOR in stages and found is None
    outcome = _outcome(run, found, is_running)
    return PastRun(number, run.started, found, baseline, checked, outcome, is_deleted, bad_slices=search)


def _left(stages: dict[str, StageRecord], stage: str, output: str, read: Callable[[str], _Found]) -> _Found | None:
    """What a stage has written; None if it did not run, or the files are gone or unreadable."""
    if stage not in stages:
        return None
    try:
        return read(stages[stage].outputs[output].uri)
    except _UNREADABLE:
        return None


def _since_push(run: RunRecord, folder: RunFolder) -> tuple[str, ...]:
    """What was done with the version that a run pushed; empty if it pushed none, or nothing is known."""
    stage = run.stages.get(PUSHER)
    if stage is None or stage.cached:
        return ()
    pushed = stage.outputs["pushed_model"].custom_properties
    if (
        not pushed["pushed"].int_value
        or pushed[properties.CURRENT].int_value
        or pushed[properties.SAME_ANSWERS].int_value
    ):
        return ()
    config, state = (stage.parameters[name].string_value if name in stage.parameters else "" for name in _OF_PUSHER)
    named = json.loads(config or "{}").get("push", {}).get("directory")
    directory = ServingDirectory(named or folder.serving)
    try:
        if state and not directory.is_same_folder(state.partition(" ")[0]):
            return ()
        return tuple(versions.since_push(directory, int(pushed["pushed_version"].string_value)))
    except ServingError:  # `regraft versions list` says what is damaged
        return ()


def _outcome(run: RunRecord, verdict: verdicts.Verdict | None, is_running: bool) -> str:
    stages = run.stages
    if CANDIDATE in stages and EVALUATOR in stages:
        blessed = stages[EVALUATOR].outputs["blessing"].custom_properties["blessed"].int_value
        return "gate only: would be blessed" if blessed else "gate only: would be refused"
    if PUSHER not in stages:
        stage, why = run.stopped or (None, "ended")
        if stage and not is_running:
            return f"{why} in {stage}"
        last = list(stages)[-1] if stages else None
        state = "running," if is_running else why
        return f"{state} after {last}" if last else f"{state} before the end of its first stage"
    pushed = stages[PUSHER].outputs["pushed_model"].custom_properties
    if rolled_back := pushed[properties.ROLLED_BACK].int_value:
        return f"not pushed: version {rolled_back}, which was rolled back"
    if not pushed["pushed"].int_value:
        failed = [check.title for check in verdict.checks if not check.passed] if verdict else []
        refused_by = pushed[properties.REFUSED_BY].string_value.split(", ")
        failed += [name for name in refused_by if name not in ("", properties.GATE)]
        current = pushed[properties.CURRENT].int_value
        in_production = f"; it is version {current}, in production" if current else ""
        return f"not blessed: {', '.join(dict.fromkeys(failed))}{in_production}"
    if same := pushed[properties.SAME_ANSWERS].int_value:
        return f"nothing new: same answers as version {same}"
    version = f"version {pushed['pushed_version'].string_value}"
    if reason := pushed[properties.BLESSED_ANYWAY].string_value:
        return f"NOT BLESSED, pushed as {version}: {reason}"
    is_old = stages[PUSHER].cached or pushed[properties.CURRENT].int_value
    return f"already {version}" if is_old else f"pushed as {version}"


def _row(run: PastRun) -> Iterator[str]:
    yield str(run.number)
    yield f"{run.started:%Y-%m-%d %H:%M:%S}"
    yield f"{run.verdict.accuracy:.2%}" if run.verdict and run.verdict.accuracy is not None else "–"
    yield f"version {run.baseline}" if run.baseline else "–"
    yield "; ".join([run.outcome, *run.since])
