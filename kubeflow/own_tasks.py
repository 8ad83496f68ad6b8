"""Two tasks that only Kubeflow Pipelines needs.

There, drivers don't run and a run's result is that of its tasks: OutsideState looks at the data folder before the cache
is asked about the stages that read it, and Verdict fails a run that pushed nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from components import run_parameters, state_driver
from components.image_example_gen.settings import Settings
from kubeflow.package import Package

OUTSIDE_STATE = "OutsideState"
VERDICT = "Verdict"

_STRING = {"parameterType": "STRING"}


def add_outside_state(package: Package, image: str, settings: Settings, files: Mapping[str, Sequence[str]]) -> None:
    """Makes the data's state, and that of other files outside, part of what the cache is asked by.

    Args:
      package: changed in place.
      image: the container image.
      settings: how the data is read.
      files: the container's paths of weights and the like, each with the tasks that read it.
    """
    arguments = ["--data-path", f"{{{{$.inputs.parameters['{run_parameters.DATA_PATH}']}}}}"]
    arguments += ["--settings", settings.serialized()]
    arguments += ["--data-state", "{{$.outputs.parameters['data'].output_file}}"]
    arguments += ["--files-state", "{{$.outputs.parameters['files'].output_file}}"]
    arguments += [argument for file in files for argument in ("--file", file)]
    _add(
        package,
        OUTSIDE_STATE,
        _container(image, "outside_state", arguments),
        inputs={"parameters": {run_parameters.DATA_PATH: _STRING}},
        outputs={"parameters": {"data": _STRING, "files": _STRING}},
        task={
            "inputs": {"parameters": {run_parameters.DATA_PATH: {"componentInputParameter": run_parameters.DATA_PATH}}}
        },
    )
    of_files = {name for names in files.values() for name in names if name in package.tasks}
    for reader, output in {"ImageExampleGen": "data", **dict.fromkeys(sorted(of_files), "files")}.items():
        _give(package, reader, output)


def add_verdict(package: Package, image: str) -> None:
    """Adds a last task that says what the gate found, and fails if nothing was pushed.

    Args:
      package: changed in place.
      image: the container image.
    """
    sources = {"blessing": "Evaluator", "baseline_model": "BaselineModel", "pushed_model": "Pusher"}
    types = {
        key: package.component(producer)["outputDefinitions"]["artifacts"][key]["artifactType"]
        for key, producer in sources.items()
    }
    _add(
        package,
        VERDICT,
        _container(image, "verdict", ["{{$}}"]),
        inputs={"artifacts": {key: {"artifactType": kind} for key, kind in types.items()}},
        outputs={},
        task={
            "dependentTasks": sorted(sources.values()),
            "inputs": {
                "artifacts": {
                    key: {"taskOutputArtifact": {"producerTask": producer, "outputArtifactKey": key}}
                    for key, producer in sources.items()
                }
            },
        },
    )


def _add(
    package: Package,
    name: str,
    container: Mapping[str, Any],
    inputs: Mapping[str, Any],
    outputs: Mapping[str, Any],
    task: Mapping[str, Any],
) -> None:
    label = f"{name}_executor"
    component: dict[str, Any] = {"executorLabel": label, "inputDefinitions": dict(inputs)}
    if outputs:
        component["outputDefinitions"] = dict(outputs)
    package.spec["components"][name] = component
    package.spec["deploymentSpec"]["executors"][label] = {"container": dict(container)}
    package.tasks[name] = {"taskInfo": {"name": name}, "componentRef": {"name": name}, **task}


def _container(image: str, module: str, arguments: list[str]) -> dict[str, Any]:
    return {"image": image, "command": ["python", "-m", f"kubeflow.{module}"], "args": arguments}


def _give(package: Package, reader: str, output: str) -> None:
    """Hands a task one of the states, in place of what its driver would find."""
    package.component(reader)["inputDefinitions"].setdefault("parameters", {})[state_driver.STATE] = _STRING
    task = package.tasks[reader]
    task["inputs"].setdefault("parameters", {})[state_driver.STATE] = {
        "taskOutputParameter": {"producerTask": OUTSIDE_STATE, "outputParameterKey": output}
    }
    task["dependentTasks"] = sorted({*task.get("dependentTasks", []), OUTSIDE_STATE})
