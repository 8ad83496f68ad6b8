"""The tasks that only Kubeflow Pipelines needs.

TFX's drivers do not run there, so OutsideState reads the state of the data before the cache is asked about the stages
that read the data. A run there fails only if a task fails, so Verdict fails if nothing was pushed. Report makes what
its user interface shows.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from components import code_digest, run_parameters, state_driver
from config.data import IngestionConfig
from config.stages import BASELINE_MODEL, EVALUATOR, EXTERNAL_STATE, IMAGE_EXAMPLE_GEN, PUSHER, REPORT, VERDICT
from kubeflow import report
from kubeflow.package import Package

_STRING = {"parameterType": "STRING"}
# The types that Kubeflow's user interface draws, without "system.".
_SHOWN = {report.PAGE: "HTML", report.CLASSIFICATION: "ClassificationMetrics", report.FIGURES: "Metrics"}


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
    definitions, inputs = _artifacts(package, sources)
    _add(
        package,
        VERDICT,
        _container(image, "verdict", ["{{$}}"]),
        inputs={"artifacts": definitions},
        outputs={},
        task={"dependentTasks": sorted(sources.values()), "inputs": {"artifacts": inputs}},
    )


def add_report(package: Package, image: str) -> None:
    """Adds a task that makes the report of the run, whatever the verdict is.

    Args:
      package: changed in place.
      image: the container image.
    """
    sources = {key: stage for stage, keys in report.READ.items() if stage in package.tasks for key in keys}
    definitions, inputs = _artifacts(package, sources)
    # The configuration, and the parameters of the run that replace some of it.
    parameters, values = (
        {name: value for name, value in found.items() if name != code_digest.PARAMETER}
        for found in (
            package.component(PUSHER)["inputDefinitions"]["parameters"],
            package.tasks[PUSHER]["inputs"]["parameters"],
        )
    )
    _add(
        package,
        REPORT,
        _container(image, "report", ["{{$}}"]),
        inputs={"artifacts": definitions, "parameters": parameters},
        outputs={
            "artifacts": {
                key: {"artifactType": {"schemaTitle": f"system.{title}", "schemaVersion": "0.0.1"}}
                for key, title in _SHOWN.items()
            }
        },
        task={
            "dependentTasks": sorted(set(sources.values())),
            "inputs": {"artifacts": inputs, "parameters": copy.deepcopy(values)},
        },
    )


def _artifacts(package: Package, sources: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Definitions and sources of input artifacts.

    Args:
      package: with the tasks that make them.
      sources: name of the artifact to its task.
    """
    outputs = {key: package.component(task)["outputDefinitions"]["artifacts"][key] for key, task in sources.items()}
    return (
        {key: {"artifactType": output["artifactType"]} for key, output in outputs.items()},
        {
            key: {"taskOutputArtifact": {"producerTask": task, "outputArtifactKey": key}}
            for key, task in sources.items()
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
