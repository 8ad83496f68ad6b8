"""The tasks of a run, as servers without ML Metadata list them. Earlier servers do not know the request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from kubeflow.connection import ServerError

_MOST = 200  # tasks that the server returns at once


def listed(
    host: str, run_id: str, ask: Callable[[str, str], Mapping[str, Any] | None]
) -> list[Mapping[str, Any]] | None:
    """All tasks of a run.

    Args:
      host: address of the server, for messages.
      run_id: of the run.
      ask: sends a GET request; takes the path below `host`, and the request in words. It returns the answer's fields,
        or None if the answer is not the API's. It raises ServerError if the request fails.

    Returns:
      the tasks; None if this server lists none, for any run.

    Raises:
      ServerError: if the server has no such run, or a request fails.
    """
    found: list[Mapping[str, Any]] = []
    token = ""
    while True:
        query = urlencode({"page_size": _MOST, **({"page_token": token} if token else {})})
        try:
            answer = ask(f"/apis/v2beta1/runs/{run_id}/tasks?{query}", f"listing the tasks of run {run_id}")
        except ServerError as error:
            if error.status != 404:
                raise
            if run_id in error.reason:  # "Not Found" alone: the server does not know the path
                raise unknown_run(host, run_id) from None
            return None
        if answer is None:
            return None
        found += answer.get("tasks") or []
        if not (token := answer.get("next_page_token") or ""):
            return found


def unknown_run(host: str, run_id: str) -> ServerError:
    """The error for a run that the server does not have."""
    return ServerError(f"{host}: has no run {run_id}; `regraft kubeflow status` lists the runs", 404)
