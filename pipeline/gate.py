"""What the gate said of past runs: `python -m pipeline.gate history FOLDER`, `… explain FOLDER [--run N]`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import rich.box
import rich.table

from components.evaluator import verdict as verdicts
from components.pusher.properties import GATE, OVERRIDDEN, REFUSED_BY, STANDING, WITHDRAWN
from components.serving_check import findings
from modules.errors import BadInputError
from pipeline import console, run_record, verdict_table
from pipeline.run_record import StageRecord
from pipeline.workspace import RunFolder, shown

OK, BAD_INPUT = 0, 2


@dataclass(frozen=True)
class PastRun:
    """One run of a pipeline, as ML Metadata has it.

    Attributes:
      number: counted from 1, the oldest first.
      started: local time, ISO 8601.
      verdict: on its candidate; None if the run did not come so far, or the verdict's file is gone.
      baseline: the version the candidate was compared with; None if there was none.
      serving_check: `refusals` and `measured`, see components/serving_check/findings.py; None if there was none.
      outcome: what came of it, in words.
    """

    number: int
    started: str
    verdict: verdicts.Verdict | None
    baseline: int | None
    serving_check: dict[str, Any] | None
    outcome: str


def past_runs(folder: RunFolder) -> list[PastRun]:
    """Every run of a pipeline, the oldest first.

    Raises:
      BadInputError: if the folder holds no runs.
    """
    if not folder.metadata.is_file():
        raise BadInputError(f"{shown(folder.path)}: no runs here; a run's folder is <workspace>/<pipeline name>")
    records = run_record.read_runs(folder.metadata, folder.path.name)
    return [_past_run(number, started, stages) for number, (started, stages) in enumerate(records, start=1)]


def _past_run(number: int, started: str, stages: dict[str, StageRecord]) -> PastRun:
    found = baseline = None
    if "Evaluator" in stages:
        try:
            found = verdicts.load(stages["Evaluator"].outputs["blessing"].uri)
        except FileNotFoundError:
            found = None
        version = stages["BaselineModel"].outputs["baseline_model"].custom_properties["version"].int_value
        baseline = version or None
    return PastRun(number, started, found, baseline, _serving_check(stages), _outcome(stages, found))


def _serving_check(stages: dict[str, StageRecord]) -> dict[str, Any] | None:
    if "ServingCheck" not in stages:
        return None
    try:
        return findings.read(stages["ServingCheck"].outputs["infra_blessing"].uri)
    except FileNotFoundError:
        return None


def _outcome(stages: dict[str, StageRecord], verdict: verdicts.Verdict | None) -> str:
    if "Candidate" in stages and "Evaluator" in stages:
        return "gate only: would be blessed" if verdict and verdict.blessed else "gate only: would be refused"
    if "Pusher" not in stages:
        last = list(stages)[-1] if stages else None
        return f"ended after {last}" if last else "ended before its first stage had"
    pushed = stages["Pusher"].outputs["pushed_model"].custom_properties
    if withdrawn := pushed[WITHDRAWN].int_value:
        return f"not pushed: version {withdrawn}, which was rolled back"
    if not pushed["pushed"].int_value:
        failed = [check.title for check in verdict.checks if not check.passed] if verdict else []
        failed += [name for name in pushed[REFUSED_BY].string_value.split(", ") if name not in ("", GATE)]
        current = f"; it is version {pushed[STANDING].int_value}, in production" if pushed[STANDING].int_value else ""
        return f"not blessed: {', '.join(dict.fromkeys(failed))}{current}"
    version = f"version {pushed['pushed_version'].string_value}"
    if reason := pushed[OVERRIDDEN].string_value:
        return f"NOT BLESSED, pushed as {version}: {reason}"
    is_old = stages["Pusher"].cached or pushed[STANDING].int_value
    return f"already {version}" if is_old else f"pushed as {version}"


def main(arguments: Sequence[str], terminal: TextIO | None = None) -> int:
    """Prints what is asked for.

    Returns:
      the exit code: 0, or 2 if there is no such run.
    """
    options = _parse(arguments)
    terminal = terminal or sys.stdout
    path = Path(options.folder).absolute()
    try:
        runs = past_runs(RunFolder(path.parent, path.name))
        if options.command == "history":
            _print_history(runs, terminal)
        else:
            _explain(_chosen(runs, options.run), options.json, terminal)
    except BadInputError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    return OK


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pipeline.gate", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    history = commands.add_parser("history", help="accuracy, verdict and version of every run")
    explain = commands.add_parser("explain", help="every check of one run")
    for command in (history, explain):
        command.add_argument("folder", help="the pipeline's, <workspace>/<pipeline name>")
    explain.add_argument("--run", type=int, help="its number in the history (default: the last that was judged)")
    explain.add_argument("--json", action="store_true", help="for programs, with the serving check")
    return parser.parse_args(arguments)


def _chosen(runs: list[PastRun], number: int | None) -> PastRun:
    if number is None:
        judged = [run for run in runs if run.verdict]
        if not judged:
            raise BadInputError(f"none of {len(runs)} runs came to a verdict")
        return judged[-1]
    if not 1 <= number <= len(runs):
        raise BadInputError(f"--run: 1 to {len(runs)} are allowed. Received: {number}")
    return runs[number - 1]


def _print_history(runs: list[PastRun], terminal: TextIO) -> None:
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
    for heading in ("run", "started", "accuracy", "baseline", "outcome"):
        table.add_column(heading)
    for run in runs:
        table.add_row(*_row(run))
    console.tables(terminal).print(table)


def _row(run: PastRun) -> Iterator[str]:
    yield str(run.number)
    yield run.started.partition(".")[0].replace("T", " ")
    yield f"{run.verdict.accuracy:.2%}" if run.verdict and run.verdict.accuracy is not None else "–"
    yield f"version {run.baseline}" if run.baseline else "–"
    yield run.outcome


def _explain(run: PastRun, as_json: bool, terminal: TextIO) -> None:
    if run.verdict is None:
        raise BadInputError(f"run {run.number} has no verdict: {run.outcome}")
    if as_json:
        about = {"run": run.number, "started": run.started, "outcome": run.outcome, "baseline": run.baseline}
        content = {**about, **verdicts.as_json(run.verdict), "serving_check": run.serving_check}
        print(json.dumps(content, indent=2), file=terminal)
        return
    print(f"run {run.number}, started {run.started.partition('.')[0]}: {run.outcome}", file=terminal)
    verdict_table.show(run.verdict, run.baseline, terminal)
    for line in verdict_table.served(run.serving_check) if run.serving_check else ():
        print(line, file=terminal)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
