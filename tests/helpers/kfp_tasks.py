"""How Kubeflow Pipelines' API server shows the tasks of a run: up to version 2.17, and later."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

_DRIVER = "-driver"
OMITTED = "OMITTED"  # Argo's word for tasks that were not started, because others failed


def details(state: str, tasks: Mapping[str, str]) -> list[dict[str, Any]]:
    """Argo's nodes: tasks, their drivers and their pods. Those that were not started have no state.

    Args:
      state: of the run.
      tasks: name to state, or OMITTED; `-driver` after a name is the task's driver.
    """
    nodes = {"root-driver": "SUCCEEDED", "root": state, "fruit-x7k2p": state}
    for name, of_task in tasks.items():
        if not name.endswith(_DRIVER):
            nodes.setdefault(f"{name}{_DRIVER}", "SUCCEEDED")
        nodes[name] = of_task
    named = [*nodes.items(), *(("executor", of_task) for of_task in tasks.values())]
    found = [{"display_name": name, **({"state": one} if one != OMITTED else {})} for name, one in named]
    return [*found, *({"task_id": str(uuid.uuid4())} for _ in tasks)]  # of the cache, without name and state


def listed(tasks: Mapping[str, str]) -> list[dict[str, Any]]:
    """Tasks without ML Metadata: the entry of a driver that fails is that of its task, without a second pod.

    Args:
      tasks: as for `details`.
    """
    found = [{"name": "ROOT", "display_name": "a run", "type": "ROOT", "state": "RUNNING", "pods": [_pod("DRIVER")]}]
    for name, of_task in tasks.items():
        if f"{name}{_DRIVER}" in tasks or of_task == OMITTED:
            continue
        own = name.removesuffix(_DRIVER)
        pods = [_pod("DRIVER"), *([_pod("EXECUTOR")] if name == own and of_task != "SKIPPED" else [])]
        one = "CACHED" if of_task == "SKIPPED" else of_task
        found.append({"name": own, "display_name": own, "type": "RUNTIME", "state": one, "pods": pods})
    return found


def _pod(kind: str) -> dict[str, str]:
    return {"name": "fruit-x7k2p-1", "type": kind}
