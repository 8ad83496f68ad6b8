"""The two tasks that only Kubeflow Pipelines needs.

TFX's drivers do not run there, so OutsideState reads the state of the data before the cache is asked about the stages
that read the data. A run there fails only if a task fails, so Verdict fails if nothing was pushed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from components import run_parameters, state_driver
from config.data import IngestionConfig
from config.stages import BASELINE_MODEL, EVALUATOR, EXTERNAL_STATE, IMAGE_EXAMPLE_GEN, PUSHER, VERDICT
from kubeflow.package import Package

_STRING = {"parameterType": "STRING"}


def add_external_state(
    package: Package, image: str, ingestion: IngestionConfig, files: Mapping[str, Sequence[str]]
) -> None:
    """Adds the state of the data, and of other files outside the pipeline, to the cache keys of their readers.

    Args:
      package: changed in place.
      image: the container image.
      ingestion: how the data is read.
      files: paths of weights, models and a schema in the container, each with the tasks that read it.
    """
    arguments = ["--data-path", f"{{{{$.inputs.parameters['{run_parameters.DATA_PATH}']}}}}"]
    arguments += ["--ingestion", ingestion.serialized()]
    arguments += ["--data-state", "{{$.outputs.parameters['data'].output_file}}"]
    arguments += ["--files-state", "{{$.outputs.parameters['files'].output_file}}"]
    arguments += [argument for file in files for argument in ("--file", file)]
    _add(
        package,
        EXTERNAL_STATE,
        _container(image, "external_state", arguments),
        inputs={"parameters": {run_parameters.DATA_PATH: _STRING}},
        outputs={"parameters": {"data": _STRING, "files": _STRING}},
        task={
            "inputs": {"parameters": {run_parameters.DATA_PATH: {"componentInputParameter": run_parameters.DATA_PATH}}}
        },
    )
    of_files = {name for names in files.values() for name in names if name in package.tasks}
    for reader, output in {IMAGE_EXAMPLE_GEN: "data", **dict.fromkeys(sorted(of_files), "files")}.items():
        _connect(package, reader, output)


def add_verdict(package: Package, image: str) -> None:
    """Adds a last task that prints the verdict, and fails if nothing was pushed.

    Args:
      package: changed in place.
      image: the container image.
    """
    sources = {"blessing": EVALUATOR, "baseline_model": BASELINE_MODEL, "pushed_model": PUSHER}
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


def _connect(package: Package, reader: str, output: str) -> None:
    """Makes one of the states an input of a task. On this machine, the task's driver sets it."""
    package.component(reader)["inputDefinitions"].setdefault("parameters", {})[state_driver.STATE] = _STRING
    task = package.tasks[reader]
    task["inputs"].setdefault("parameters", {})[state_driver.STATE] = {
        "taskOutputParameter": {"producerTask": EXTERNAL_STATE, "outputParameterKey": output}
    }
    task["dependentTasks"] = sorted({*task.get("dependentTasks", []), EXTERNAL_STATE})
