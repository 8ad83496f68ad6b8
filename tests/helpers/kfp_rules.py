"""What Kubeflow Pipelines' API server accepts and refuses: packages, parameters and triggers.

The rules are those of version 2.0.5, in backend/src of github.com/kubeflow/pipelines: v2_template.go, api_converter.go,
v2/compiler. tests/helpers/kfp_contract.py compares them with a real server.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

_LABEL = re.compile(r"[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,127}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[-+]\d\d:\d\d)")
_DESCRIPTOR = re.compile(r"@(yearly|annually|monthly|weekly|daily|midnight|hourly|every (\d+(\.\d+)?(h|m|s))+)")
# The fields of a cron line: bounds, and names from the lower bound on. The last field may be left out.
_CRON: list[tuple[int, int, list[str]]] = [
    (0, 59, []),
    (0, 59, []),
    (0, 23, []),
    (1, 31, []),
    (1, 12, ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]),
    (0, 6, ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]),
]
_TYPES: dict[str, tuple[Any, str]] = {
    "NUMBER_INTEGER": ((int, float), "double or integer"),
    "NUMBER_DOUBLE": ((int, float), "double or integer"),
    "STRING": (str, "string"),
    "BOOLEAN": (bool, "bool"),
}


class RefusalError(Exception):
    """An error that the server answers with.

    Attributes:
      code: the HTTP status.
    """

    def __init__(self, message: str, code: int = 400) -> None:
        super().__init__(message)
        self.code = code


def check_upload(text: str) -> None:
    """Refuses packages that the server does not store.

    It looks at little: for a document that is not exactly a `PipelineSpec`, it only says that the format is unknown,
    and it leaves out a platform that it cannot read.
    """
    specs = [document for document in yaml.safe_load_all(text) if _is_spec(document)]
    if not specs:
        raise RefusalError("InvalidInputError: unknown template format: pipeline spec is invalid", 500)
    (spec,) = specs
    if spec.get("schemaVersion") != "2.1.0":
        version = spec.get("schemaVersion")
        raise RefusalError(f"KFP only supports schema version 2.1.0, but the pipeline spec has version {version}", 500)
    if not _NAME.fullmatch(spec["pipelineInfo"]["name"]):
        raise RefusalError("pipeline's name must contain only lowercase alphanumeric characters or '-'", 500)


def _is_spec(document: Any) -> bool:
    if not isinstance(document, dict):
        return False
    try:
        spec = json_format.ParseDict(document, pipeline_spec_pb2.PipelineSpec())
    except json_format.ParseError:
        return False
    return bool(spec.pipeline_info.name) and spec.HasField("root")


def check_compiled(text: str, argo: bool) -> dict[str, Any]:
    """Refuses packages that the compiler for Argo refuses, when a run or a recurring run is created.

    Args:
      text: of the package.
      argo: whether Argo sees it, too. Of a recurring run, it sees nothing before the first run.

    Returns:
      the pipeline.
    """
    spec = next(document for document in yaml.safe_load_all(text) if _is_spec(document))
    tasks, executors = spec["root"]["dag"]["tasks"], spec["deploymentSpec"]["executors"]
    for name, task in tasks.items():
        component = spec["components"].get(task["componentRef"]["name"])
        if component is None:
            raise RefusalError(f"cannot find component ref name={task['componentRef']['name']!r}", 500)
        executor = executors.get(component["executorLabel"], {})
        if not set(executor) & {"container", "importer"}:
            raise RefusalError(f"component {name}: non-container and non-importer executor not implemented", 500)
        if argo and (not _LABEL.fullmatch(name) or set(task.get("dependentTasks", [])) - set(tasks)):
            raise RefusalError(f"Failed to validate workflow: {name}", 500)
    return spec


def check_parameters(spec: dict[str, Any], given: dict[str, Any]) -> None:
    """Refuses parameters that validatePipelineJobInputs refuses."""
    wanted = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    for name, parameter in wanted.items():
        accepted, title = _TYPES[parameter["parameterType"]]
        if name not in given:
            if not parameter.get("isOptional") and "defaultValue" not in parameter:
                raise RefusalError(f"Invalid input error: parameter {name} is not optional, yet has neither default")
        elif not isinstance(given[name], accepted) or (accepted is not bool and isinstance(given[name], bool)):
            raise RefusalError(f"Invalid input error: input parameter {name} requires type {title}")
    if unknown := set(given) - set(wanted):
        names = ", ".join(unknown)
        raise RefusalError(f"Invalid input error: parameter(s) provided are not required by pipeline: {names}")


def check_trigger(trigger: dict[str, Any]) -> None:
    """Refuses triggers that the server refuses; it accepts none at all."""
    for schedule in trigger.values():
        for moment in [schedule[key] for key in ("start_time", "end_time") if key in schedule]:
            if not _MOMENT.fullmatch(moment):
                raise RefusalError(f"parsing time {moment!r}")
        if "cron" in schedule:
            try:
                _check_cron(schedule["cron"])
            except ValueError as error:
                raise RefusalError(f"Invalid input error: Schedule cron is not a supported format: {error}") from None
        elif int(schedule["interval_second"]) < 1:
            raise RefusalError("Invalid input error: Found invalid period schedule interval")


def _check_cron(cron: str) -> None:
    """robfig/cron: seconds come first, days of the week are 0 to 6, and may be left out."""
    if cron.startswith("@"):
        if not _DESCRIPTOR.fullmatch(cron):
            raise ValueError(f"Unrecognized descriptor: {cron}")
        return
    fields = cron.split()
    if len(fields) not in (len(_CRON) - 1, len(_CRON)):
        raise ValueError(f"Expected 5 to 6 fields, found {len(fields)}")
    for field, (lowest, highest, names) in zip(fields, _CRON, strict=False):
        for part in field.split(","):
            span, _, step = part.partition("/")
            ends = [lowest] if span in ("*", "?") else [_number(end, names, lowest) for end in span.split("-")]
            if len(ends) > 2 or not lowest <= ends[0] <= ends[-1] <= highest or (step and int(step) < 1):
                raise ValueError(f"out of range: {part!r}")


def _number(text: str, names: list[str], lowest: int) -> int:
    return names.index(text.upper()) + lowest if text.upper() in names else int(text)
