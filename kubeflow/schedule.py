"""Creates and removes the recurring run of a pipeline's schedule.

Kubeflow Pipelines cannot change a recurring run; it can create, enable, disable and delete one.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

from config.kubeflow import Schedule
from kubeflow.client import FINISHED, Server, Version
from kubeflow.connection import ServerError

_ENABLED = "ENABLED"
_NEWEST_RUNS = 200  # the most that the server returns at once; an unfinished run is among them


@dataclass(frozen=True)
class Removed:
    """What became of recurring runs.

    Attributes:
      deleted: number of those that were deleted.
      kept: number of those that were only disabled, because a run of theirs has not ended.
    """

    deleted: int
    kept: int


def settings(schedule: Schedule) -> dict[str, Any]:
    """The schedule as arguments of kfp.Client.create_recurring_run."""
    when: dict[str, Any] = (
        {"cron_expression": six_fields(schedule.cron)}
        if schedule.cron
        else {"interval_second": 60 * (schedule.interval_minutes or 0)}
    )
    return {
        **when,
        "max_concurrency": schedule.max_concurrency,
        "start_time": _utc(schedule.start),
        "end_time": _utc(schedule.end),
        # A missed training is not repeated later: the next one sees the same images, and more.
        "no_catchup": True,
    }


def six_fields(cron: str) -> str:
    """A cron expression for robfig/cron: its first field is the seconds, and Sunday is 0, never 7."""
    *fields, days = cron.split()
    return " ".join(["0", *fields, ",".join(_days(part) for part in days.split(","))])


def _days(part: str) -> str:
    span, _, step = part.partition("/")
    first, _, last = span.partition("-")
    if "7" not in (first, last) or not first.isdigit():
        return part
    return ",".join(str(day % 7) for day in range(int(first), 8, int(step or 1)))


def _utc(time: datetime.datetime | None) -> str | None:
    return time.astimezone(datetime.UTC).isoformat().replace("+00:00", "Z") if time else None


def replace(server: Server, experiment_id: str, name: str, version: Version, **wanted: Any) -> Removed:
    """Creates a recurring run, and removes the earlier ones of the same name.

    Args:
      server: where.
      experiment_id: of the experiment.
      name: of the recurring run.
      version: the package that runs.
      **wanted: from `settings`.

    Returns:
      what became of the earlier ones.

    Raises:
      ServerError: if a request fails. The earlier ones are unchanged then, unless the message says otherwise.
    """
    before = _named(server, experiment_id, name)
    enabled = [old.recurring_run_id for old in before if old.status == _ENABLED]
    # If two were enabled, they could train at the same time. So the new one is created disabled: if the server refuses
    # it, the old one is still enabled. Then the old one is disabled, and the new one enabled; if one of these requests
    # fails, both are undone. Deleting cannot be undone, so it comes last.
    new = server.create_recurring_run(experiment_id, name, version, **wanted)
    try:
        for old in enabled:
            server.disable(old)
        server.enable(new)
    except BaseException as error:  # also Ctrl-C
        _undo(server, name, new, enabled, error)
        raise
    return _delete(server, experiment_id, [old.recurring_run_id for old in before])


def _undo(server: Server, name: str, new: str, enabled: list[str], error: BaseException) -> None:
    """Deletes the new one first: it may be enabled even if the server's answer was lost."""
    try:
        server.delete(new)
        for old in enabled:
            server.enable(old)
    except ServerError as second:
        raise ServerError(
            f"{error}; undoing the change failed, too: {second}; {name} may have no enabled recurring run now; run "
            "schedule again"
        ) from None


def remove(server: Server, experiment_id: str, name: str) -> Removed:
    """Disables and deletes the recurring runs of a name.

    Raises:
      ServerError: if a request fails.
    """
    found = _named(server, experiment_id, name)
    for one in found:
        if one.status == _ENABLED:
            server.disable(one.recurring_run_id)
    return _delete(server, experiment_id, [one.recurring_run_id for one in found])


def _named(server: Server, experiment_id: str, name: str) -> list[Any]:
    return [one for one in server.recurring_runs(experiment_id) if one.display_name == name]


def _delete(server: Server, experiment_id: str, recurring_run_ids: list[str]) -> Removed:
    """Deletes those without an unfinished run: deleting a recurring run ends its runs."""
    runs = server.runs(experiment_id, _NEWEST_RUNS) if recurring_run_ids else []
    busy = {run.recurring_run_id for run in runs if run.state not in FINISHED}
    idle = [one for one in recurring_run_ids if one not in busy]
    for one in idle:
        server.delete(one)
    return Removed(len(idle), len(recurring_run_ids) - len(idle))
