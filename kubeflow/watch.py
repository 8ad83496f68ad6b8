"""Waits until a run ends, and prints its progress."""

from __future__ import annotations

import datetime
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from config.errors import ExitCode
from config.stages import REPORT, VERDICT
from kubeflow.client import DRIVER, FINISHED, Server
from kubeflow.connection import ServerError

POLL_SECONDS = 10.0
PATIENCE_SECONDS = 600.0
# Outputs of SKIPPED and CACHED are those of an earlier run; the word depends on the server's version.
_DONE = ("SUCCEEDED", "SKIPPED", "CACHED")


def wait(server: Server, run_id: str, tasks: Sequence[str]) -> ExitCode:
    """Prints a line whenever something changes, until the run ends.

    Args:
      server: where it runs.
      run_id: which.
      tasks: names of the pipeline's tasks.

    Returns:
      OK if the run succeeded, NOT_BLESSED if it failed at Verdict alone, FAILED if it failed at another task or was
      terminated.

    Raises:
      ServerError: if a request fails for good.
    """
    start, terminated = time.monotonic(), False
    seen: tuple[str, list[str]] = ("", [])
    while True:
        run, states = _ask(server, run_id)
        ended = [name for name in tasks if states.get(name) in ("SUCCEEDED", "CACHED", "FAILED")]
        state = run.state or "PENDING"
        terminated = terminated or _is_terminated(run)
        if (state, ended) != seen:
            new = [name for name in ended if name not in seen[1]]
            elapsed = datetime.timedelta(seconds=int(time.monotonic() - start))
            line = f"{state.lower()}, {len(ended)} of {len(tasks)} tasks, {elapsed}"
            print(f"{line}: {', '.join(new)}" if new else line, flush=True)
            seen = (state, ended)
        if state in FINISHED:
            return _result(run, states, tasks, terminated)
        time.sleep(POLL_SECONDS)


def _ask(server: Server, run_id: str) -> tuple[Any, dict[str, str]]:
    """The run, and its tasks' states. If the server does not answer for a while, as in an upgrade, this tries again."""
    deadline, warned = time.monotonic() + PATIENCE_SECONDS, False
    while True:
        try:
            run = server.run(run_id)
            return run, server.task_states(run)
        except ServerError as error:
            if not error.temporary or time.monotonic() > deadline:
                raise
            if not warned:
                print(f"{error}; trying again", file=sys.stderr, flush=True)
                warned = True
        time.sleep(POLL_SECONDS)


def _is_terminated(run: Any) -> bool:
    """Whether somebody asked the server to end the run; the run itself then ends as FAILED, not as CANCELED."""
    history = [status.state for status in run.state_history or ()]
    return not {"CANCELING", "CANCELED"}.isdisjoint([run.state, *history])


def _result(run: Any, found: Mapping[str, str], tasks: Sequence[str], terminated: bool) -> ExitCode:
    if run.state == "SUCCEEDED":
        return ExitCode.OK
    if terminated:
        print("the run was terminated on the server before its end; it came to no verdict", file=sys.stderr)
        return ExitCode.FAILED
    if run.state != "FAILED":
        print(f"the run was {run.state.lower()}", file=sys.stderr)
        return ExitCode.FAILED
    with_drivers = [*tasks, *(f"{name}{DRIVER}" for name in tasks)]
    states = {name: found[name] for name in with_drivers if name in found}
    failed = [name for name, state in states.items() if state == "FAILED"]
    if states.get(VERDICT) in ("SUCCEEDED", "FAILED"):  # the run depends on the report no more than on one machine
        unreported = [name for name in failed if name.removesuffix(DRIVER) == REPORT]
        failed = [name for name in failed if name not in unreported]
        if unreported:
            print(f"there is no report: the task {REPORT} failed", file=sys.stderr)
            if not failed and states[VERDICT] == "SUCCEEDED":
                return ExitCode.OK
    # Verdict comes last; if another task has not ended well, Verdict failed for another reason than its own.
    if failed == [VERDICT] and all(
        state in _DONE for name, state in states.items() if name != VERDICT and name.removesuffix(DRIVER) != REPORT
    ):
        print(f"not blessed, nothing was pushed; the log of the task {VERDICT} shows every check", file=sys.stderr)
        return ExitCode.NOT_BLESSED
    names = ", ".join(dict.fromkeys(name.removesuffix(DRIVER) for name in failed))
    reason = f": {run.error.message}" if run.error and run.error.message else ""
    print(f"the run failed at {names or 'a task that the server does not name'}{reason}", file=sys.stderr)
    return ExitCode.FAILED
