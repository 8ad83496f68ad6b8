"""The schedule and the last runs of one experiment: as a table or as JSON."""

from __future__ import annotations

import datetime
from typing import Any, TextIO

import rich.box
import rich.markup
import rich.table

from kubeflow.client import FINISHED, Server
from pipeline import console

_RUNS = 10


def collect(server: Server, experiment: str) -> dict[str, Any]:
    """The recurring runs and the last runs, ready for JSON; both are empty if there is no such experiment.

    Raises:
      ServerError: if a request fails.
    """
    found = server.find_experiment(experiment)
    recurring = server.recurring_runs(found) if found else []
    runs = server.runs(found, _RUNS) if found else []
    return {
        "experiment": experiment,
        "recurring_runs": [_recurring_run(one) for one in recurring],
        "runs": [_run(one, server) for one in runs],
    }


def _recurring_run(one: Any) -> dict[str, Any]:
    trigger = one.trigger
    schedule = trigger and (trigger.cron_schedule or trigger.periodic_schedule)
    interval = getattr(schedule, "interval_second", None)
    return {
        "id": one.recurring_run_id,
        "name": one.display_name,
        "enabled": one.status == "ENABLED",
        "cron": getattr(schedule, "cron", None),
        "interval_seconds": int(interval) if interval else None,
        "start": _text(schedule and schedule.start_time),
        "end": _text(schedule and schedule.end_time),
        "max_concurrency": int(one.max_concurrency) if one.max_concurrency else None,
    }


def _run(one: Any, server: Server) -> dict[str, Any]:
    """A run; its `seconds` count to now if it has not ended."""
    until = one.finished_at if one.state in FINISHED else datetime.datetime.now(datetime.UTC)
    known = _text(one.created_at) and _text(until)
    return {
        "id": one.run_id,
        "name": one.display_name,
        "recurring_run": one.recurring_run_id or None,
        "created": _text(one.created_at),
        "state": one.state,
        "seconds": int((until - one.created_at).total_seconds()) if known else None,
        "url": server.run_url(one.run_id),
    }


def _text(time: datetime.datetime | None) -> str | None:
    """ISO 8601; None for 1970, which the server sends for an unknown time."""
    return time.isoformat(timespec="seconds") if time and time.timestamp() > 0 else None


def show(status: dict[str, Any], terminal: TextIO) -> None:
    """Prints the result of `collect`."""
    printer = console.tables(terminal)
    if not (status["recurring_runs"] or status["runs"]):
        print(f"{status['experiment']}: no runs and no schedule", file=terminal)
    if status["recurring_runs"]:
        table = _table("recurring run", "id", "enabled", "when", "most runs at once", "from", "until")
        for one in status["recurring_runs"]:
            cells = one["name"], one["id"], "yes" if one["enabled"] else "no", _when(one), one["max_concurrency"]
            table.add_row(*_cells(*cells, one["start"], one["end"]))
        printer.print(table)
    if status["runs"]:
        table = _table("run", "created", "state", "duration")
        for one in status["runs"]:
            seconds = one["seconds"]
            duration = None if seconds is None else datetime.timedelta(seconds=seconds)
            table.add_row(*_cells(one["id"], one["created"], one["state"], duration))
        printer.print(table)


def _table(*headings: str) -> rich.table.Table:
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
    for heading in headings:
        table.add_column(heading)
    return table


def _when(one: dict[str, Any]) -> str | None:
    if one["interval_seconds"]:
        return f"every {datetime.timedelta(seconds=one['interval_seconds'])}"
    return one["cron"]


def _cells(*values: Any) -> list[str]:
    return [rich.markup.escape("–" if value is None else str(value)) for value in values]
