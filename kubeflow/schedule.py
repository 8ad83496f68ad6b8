"""Makes a recurring run of the configuration's schedule, in place of the one before.

Kubeflow Pipelines can't change a recurring run, only create, enable, disable and delete one.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

from kubeflow.client import FINISHED, Server, Version
from kubeflow.connection import ServerError
from pipeline.kubeflow_section import Schedule

_ENABLED = "ENABLED"
_RUNS_LOOKED_AT = 200  # as many as the server gives at once; an unfinished run is among the newest


@dataclass(frozen=True)
class Removed:
    """How many recurring runs were deleted, and how many were disabled only, since a run of theirs goes on."""

    deleted: int
    kept: int


def settings(schedule: Schedule) -> dict[str, Any]:
    """The schedule, as kfp.Client.create_recurring_run takes it."""
    rhythm: dict[str, Any] = (
        {"cron_expression": six_fields(schedule.cron)}
        if schedule.cron
        else {"interval_second": 60 * (schedule.interval_minutes or 0)}
    )
    return {
        **rhythm,
        "max_concurrency": schedule.max_concurrency,
        "start_time": _moment(schedule.start),
        "end_time": _moment(schedule.end),
        # A training that was missed is not made up for: the next one sees the same images, and more.
        "no_catchup": True,
    }


def six_fields(cron: str) -> str:
    """A line of crontab for robfig/cron, whose first field is the seconds, and whose Sunday is 0 and never 7."""
    *fields, days = cron.split()
    return " ".join(["0", *fields, ",".join(_days(part) for part in days.split(","))])


def _days(part: str) -> str:
    span, _, step = part.partition("/")
    first, _, last = span.partition("-")
    if "7" not in (first, last) or not first.isdigit():
        return part
    return ",".join(str(day % 7) for day in range(int(first), 8, int(step or 1)))


def _moment(moment: datetime.datetime | None) -> str | None:
    return moment.astimezone(datetime.UTC).isoformat().replace("+00:00", "Z") if moment else None


def replace(server: Server, experiment_id: str, name: str, version: Version, **wanted: Any) -> Removed:
    """Creates a recurring run and removes those of the same name.

    Args:
      server: where.
      experiment_id: of the experiment.
      name: of the recurring run.
      version: what runs.
      **wanted: as `settings` gives it.

    Returns:
      what became of those before.

    Raises:
      ServerError: if it couldn't be done; then those before are as they were, or the message says that they aren't.
    """
    before = _named(server, experiment_id, name)
    enabled = [old.recurring_run_id for old in before if old.status == _ENABLED]
    # Two enabled at once could train twice at the same time. So the new one is created disabled: should the server
    # refuse it, the old one has never stopped. Then the old one is disabled, and only then the new one enabled; what
    # is left between the two is one request, and a failure in it is taken back. Deleting, which can't be, comes last.
    new = server.create_recurring_run(experiment_id, name, version, **wanted)
    try:
        for old in enabled:
            server.disable(old)
        server.enable(new)
    except BaseException as error:  # Ctrl-C, too
        _take_back(server, name, new, enabled, error)
        raise
    return _delete(server, experiment_id, [old.recurring_run_id for old in before])


def _take_back(server: Server, name: str, new: str, enabled: list[str], error: BaseException) -> None:
    """Deletes the new one first: it may be enabled, if only the server's answer got lost."""
    try:
        server.delete(new)
        for old in enabled:
            server.enable(old)
    except ServerError as second:
        raise ServerError(
            f"{error}; and what was done couldn't be taken back: {second}; {name} may have no enabled recurring run "
            "now: schedule it again"
        ) from None


def remove(server: Server, experiment_id: str, name: str) -> Removed:
    """Disables and deletes the recurring runs of a name.

    Raises:
      ServerError: if the server refuses.
    """
    found = _named(server, experiment_id, name)
    for one in found:
        if one.status == _ENABLED:
            server.disable(one.recurring_run_id)
    return _delete(server, experiment_id, [one.recurring_run_id for one in found])


def _named(server: Server, experiment_id: str, name: str) -> list[Any]:
    return [one for one in server.recurring_runs(experiment_id) if one.display_name == name]


def _delete(server: Server, experiment_id: str, recurring_run_ids: list[str]) -> Removed:
    """Deletes those that have no unfinished run: it would be ended with its recurring run, which owns it."""
    runs = server.runs(experiment_id, _RUNS_LOOKED_AT) if recurring_run_ids else []
    busy = {run.recurring_run_id for run in runs if run.state not in FINISHED}
    idle = [one for one in recurring_run_ids if one not in busy]
    for one in idle:
        server.delete(one)
    return Removed(len(idle), len(recurring_run_ids) - len(idle))
