"""A small package that Kubeflow Pipelines accepts, and wrong ones."""

from __future__ import annotations

import copy
from typing import Any

import yaml

_TYPES = {"text": "STRING", "whole": "NUMBER_INTEGER", "number": "NUMBER_DOUBLE", "flag": "BOOLEAN"}
_DEFAULTS: dict[str, Any] = {"text": "a", "whole": 2, "number": 0.5, "flag": False}
_TASKS = ("first", "second")

_SPEC: dict[str, Any] = {
    "pipelineInfo": {"name": "contract"},
    "schemaVersion": "2.1.0",
    "sdkVersion": "regraft",
    "root": {
        "inputDefinitions": {
            "parameters": {
                name: {"parameterType": kind, "defaultValue": _DEFAULTS[name]} for name, kind in _TYPES.items()
            }
        },
        "dag": {
            "tasks": {
                name: {
                    "taskInfo": {"name": name},
                    "componentRef": {"name": f"comp-{name}"},
                    "dependentTasks": [] if name == "first" else ["first"],
                }
                for name in _TASKS
            }
        },
    },
    "components": {f"comp-{name}": {"executorLabel": f"exec-{name}"} for name in _TASKS},
    "deploymentSpec": {
        "executors": {
            f"exec-{name}": {"container": {"image": "registry.invalid/none:1", "command": ["true"]}} for name in _TASKS
        }
    },
}
_PLATFORM: dict[str, Any] = {
    "platforms": {"kubernetes": {"deploymentSpec": {"executors": {"exec-first": {"imagePullPolicy": "IfNotPresent"}}}}}
}


def _package(*documents: dict[str, Any]) -> str:
    return yaml.safe_dump_all(documents or (_SPEC, _PLATFORM))


def _spoilt(*path: str, value: Any, platform: bool = False) -> str:
    """The good package with another value at one place."""
    documents = copy.deepcopy([_SPEC, _PLATFORM])
    place = documents[platform]
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return _package(*documents)


_TASK = _SPEC["root"]["dag"]["tasks"]["first"]
_IN_TASKS = ("root", "dag", "tasks")
_IN_EXECUTORS = ("platforms", "kubernetes", "deploymentSpec", "executors")

PACKAGES = {
    "good": _package(),
    "without platform": _package(_SPEC),
    "schema 2.0.0": _spoilt("schemaVersion", value="2.0.0"),
    "unknown field": _spoilt("root", "surprise", value=1),
    "capitals": _spoilt("pipelineInfo", "name", value="Contract_1"),
    "no name": _spoilt("pipelineInfo", "name", value=""),
    "unknown field in a platform": _spoilt(*_IN_EXECUTORS, "exec-first", value={"surprise": 1}, platform=True),
    "platform of nobody": _spoilt(*_IN_EXECUTORS, "nobody", value={}, platform=True),
    "unknown component": _spoilt(*_IN_TASKS, "second", "componentRef", "name", value="comp-nobody"),
    "task with _": _spoilt(*_IN_TASKS, "a_b", value=_TASK),
    "task with a blank": _spoilt(*_IN_TASKS, "a b", value=_TASK),
    "depends on nobody": _spoilt(*_IN_TASKS, "second", "dependentTasks", value=["nobody"]),
    "resolver": _spoilt("deploymentSpec", "executors", "exec-second", value={"resolver": {}}),
    "plain text": "hello",
    "empty": "",
}
NO_YAML = "a: ["  # version 2.0.5 does not answer, and works on it until its pod ends
