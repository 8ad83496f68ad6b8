"""The requests of the contract with Kubeflow Pipelines' API server, with the answers of version 2.0.5.

In texts, `<name>` is what a request before has kept under this name; `<nobody>` is the id of nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

ANY = object()  # a field is expected, with any content


@dataclass(frozen=True)
class Among:
    """A list is expected that has at least this entry."""

    entry: Any


@dataclass(frozen=True)
class Request:
    """One request.

    Attributes:
      name: says what is special.
      method: of HTTP.
      path: below /apis/v2beta1/.
      status: of the answer.
      body: JSON.
      query: of the address.
      file: name of the package that is uploaded.
      says: part of the message.
      has: fields of the answer, at least.
      text: whether the answer is not JSON.
      keep: name to the field of the answer that is kept under it.
      waits: whether the answer comes true after a while.
    """

    name: str
    method: str
    path: str
    status: int = 200
    body: Any = None
    query: Mapping[str, Any] = field(default_factory=dict)
    file: str = ""
    says: str = ""
    has: Mapping[str, Any] = field(default_factory=dict)
    text: bool = False
    keep: Mapping[str, str] = field(default_factory=dict)
    waits: bool = False


def _named(name: str, key: str = "display_name", **more: Any) -> dict[str, Any]:
    """The query of a list, for one name."""
    return {"filter": json.dumps({"predicates": [{"operation": "EQUALS", "key": key, "stringValue": name}]}), **more}


def _uploaded(package: str, status: int = 200, says: str = "", **more: Any) -> Request:
    query = {"name": package, "pipelineid": "<pipeline>"}
    request = Request(
        f"version: {package}", "POST", "pipelines/upload_version", status, query=query, file=package, says=says
    )
    return replace(request, **more)


_SOURCE = {"pipeline_id": "<pipeline>", "pipeline_version_id": "<version>"}
_RUN: dict[str, Any] = {
    "display_name": "r",
    "experiment_id": "<experiment>",
    "pipeline_version_reference": _SOURCE,
    "runtime_config": {"parameters": {}, "pipeline_root": "minio://mlpipeline/contract"},
}
_CRON = {"cron_schedule": {"cron": "0 0 3 * * MON"}}


def _run(name: str, status: int = 200, says: str = "", keep: Mapping[str, str] | None = None, **fields: Any) -> Request:
    return Request(f"run: {name}", "POST", "runs", status, body={**_RUN, **fields}, says=says, keep=keep or {})


def _of_version(package: str, says: str, recurring: int = 500) -> list[Request]:
    """A package that is stored, but cannot run.

    Args:
      package: its name.
      says: part of the message.
      recurring: the status of the answer to a recurring run.
    """
    kept = package.replace(" ", "_")
    reference = {"pipeline_version_reference": {**_SOURCE, "pipeline_version_id": f"<{kept}>"}}
    return [
        _uploaded(package, keep={kept: "pipeline_version_id"}),
        _run(f"of version {package}", 500, says, **reference),
        _recurring(f"of version {package}", recurring, says if recurring == 500 else "", **reference),
    ]


def _given(**parameters: Any) -> dict[str, Any]:
    return {"runtime_config": {**_RUN["runtime_config"], "parameters": parameters}}


def _recurring(name: str, status: int = 200, says: str = "", **fields: Any) -> Request:
    body = {**_RUN, "trigger": _CRON, "max_concurrency": "1", "no_catchup": True, "mode": "DISABLE", **fields}
    has = {"recurring_run_id": ANY, "status": "DISABLED"} if status == 200 else {}
    return Request(f"recurring: {name}", "POST", "recurringruns", status, body=body, says=says, has=has)


def _cron(line: str, status: int = 200, **more: Any) -> Request:
    says = "" if status == 200 else "Schedule cron is not a supported format"
    return _recurring(f"cron {line!r}", status, says, trigger={"cron_schedule": {"cron": line}}, **more)


def _every(seconds: str, status: int = 200) -> Request:
    says = "" if status == 200 else "Found invalid period schedule interval"
    return _recurring(f"every {seconds} s", status, says, trigger={"periodic_schedule": {"interval_second": seconds}})


def _within(name: str, status: int = 200, **bounds: str) -> Request:
    return _recurring(name, status, trigger={"cron_schedule": {**_CRON["cron_schedule"], **bounds}})


_PIPELINES = [
    Request("health", "GET", "healthz", has={"multi_user": False}),
    Request("unknown path", "GET", "nonsense", 404, text=True),
    Request("pipeline: no name", "POST", "pipelines", 400, {"description": "x"}, says="name cannot be empty"),
    Request(
        "pipeline: new",
        "POST",
        "pipelines",
        body={"display_name": "p-<mark>"},
        has={"display_name": "p-<mark>", "created_at": ANY},
        keep={"pipeline": "pipeline_id"},
    ),
    Request("pipeline: again", "POST", "pipelines", 409, {"display_name": "p-<mark>"}, says="already exist"),
    Request("pipeline: a namespace", "POST", "pipelines", body={"display_name": "n-<mark>", "namespace": "team"}),
    Request("pipeline: the same without", "POST", "pipelines", 409, {"display_name": "n-<mark>"}),
    Request(
        "pipelines: by name",
        "GET",
        "pipelines",
        query=_named("p-<mark>"),
        has={"pipelines": [{"pipeline_id": "<pipeline>", "display_name": "p-<mark>"}], "total_size": 1},
    ),
    Request(
        "pipelines: by name and namespace",
        "GET",
        "pipelines",
        query=_named("p-<mark>", namespace="team"),
        has={"pipelines": [{"pipeline_id": "<pipeline>"}]},
    ),
    Request("pipelines: by no name", "GET", "pipelines", query=_named("x-<mark>"), has={"pipelines": None}),
    Request("pipelines: by nonsense", "GET", "pipelines", 400, query=_named("x", "nonsense")),
    Request("versions: none yet", "GET", "pipelines/<pipeline>/versions", has={"pipeline_versions": None}),
    Request("versions: unknown pipeline", "GET", "pipelines/<nobody>/versions", 404),
]
_VERSIONS = [
    _uploaded(
        "good", has={"pipeline_id": "<pipeline>", "display_name": "good"}, keep={"version": "pipeline_version_id"}
    ),
    _uploaded("good", 500, "already exist", name="version: same name"),
    _uploaded("good", 400, query={"name": "v", "pipelineid": "<nobody>"}, name="version: unknown pipeline"),
    _uploaded("good", 400, "pipeline id", query={"name": "v"}, name="version: no pipeline"),
    Request(
        "versions: by name",
        "GET",
        "pipelines/<pipeline>/versions",
        query=_named("good"),
        has={"pipeline_versions": [{"pipeline_version_id": "<version>", "pipeline_id": "<pipeline>"}]},
    ),
    _uploaded("given"),
    _uploaded("without platform"),
    _uploaded("unknown field in a platform"),
    _uploaded("platform of nobody"),
    _uploaded("schema 2.0.0", 500, "schema version 2.1.0"),
    _uploaded("unknown field", 500, "unknown template format"),
    _uploaded("no name", 500, "unknown template format"),
    _uploaded("plain text", 500, "unknown template format"),
    _uploaded("empty", 500, "unknown template format"),
    _uploaded("capitals", 500, "name must contain only lowercase"),
    Request(
        "upload: new",
        "POST",
        "pipelines/upload",
        query={"name": "u-<mark>"},
        file="good",
        has={"pipeline_id": ANY, "display_name": "u-<mark>"},
    ),
    Request("upload: again", "POST", "pipelines/upload", 500, query={"name": "u-<mark>"}, file="good"),
    Request("upload: wrong package", "POST", "pipelines/upload", 500, query={"name": "w-<mark>"}, file="unknown field"),
]
_EXPERIMENTS = [
    Request(
        "experiment: new",
        "POST",
        "experiments",
        body={"display_name": "e-<mark>"},
        keep={"experiment": "experiment_id"},
    ),
    Request("experiment: again", "POST", "experiments", 409, {"display_name": "e-<mark>"}, says="already exist"),
    Request("experiment: no name", "POST", "experiments", 500, {"description": "x"}, says="non-empty name"),
    Request("experiment: a namespace", "POST", "experiments", body={"display_name": "en-<mark>", "namespace": "team"}),
    Request(
        "experiments: by name and namespace",
        "GET",
        "experiments",
        query=_named("e-<mark>", namespace="team"),
        has={"experiments": [{"experiment_id": "<experiment>", "display_name": "e-<mark>"}]},
    ),
    Request("experiments: by no name", "GET", "experiments", query=_named("x-<mark>"), has={"experiments": None}),
    Request("experiments: pages", "GET", "experiments", query={"page_size": 1}, keep={"page": "next_page_token"}),
    Request(
        "experiments: the next page",
        "GET",
        "experiments",
        query={"page_size": 1, "page_token": "<page>"},
        has={"experiments": [{"experiment_id": ANY}]},
    ),
]
_RUNS = [
    _run("parameter that is not in the pipeline", 400, "not required by pipeline", **_given(nonsense=1)),
    _run("text for a number", 400, "requires type double or integer", **_given(number="high")),
    _run("boolean for a number", 400, "requires type double or integer", **_given(number=True)),
    _run("number for a text", 400, "requires type string", **_given(text=1)),
    _run("text for a boolean", 400, "requires type bool", **_given(flag="yes")),
    _run("unknown experiment", 404, experiment_id="<nobody>"),
    _run("unknown version", 500, pipeline_version_reference={**_SOURCE, "pipeline_version_id": "<nobody>"}),
    _run("version of another pipeline", 500, pipeline_version_reference={**_SOURCE, "pipeline_id": "<nobody>"}),
    _run("no name", 500, display_name=""),
    *_of_version("unknown component", "cannot find component"),
    *_of_version("resolver", "not implemented"),
    *_of_version("task with _", "Failed to validate workflow", 200),
    *_of_version("task with a blank", "Failed to validate workflow", 200),
    *_of_version("depends on nobody", "Failed to validate workflow", 200),
    replace(
        _run("good", keep={"run": "run_id"}, **_given(whole=3, number=0.25, text="", flag=True)),
        has={
            "run_id": ANY,
            "experiment_id": "<experiment>",
            "state": "PENDING",
            "state_history": [{"state": "PENDING"}],
        },
    ),
    _run("no experiment", experiment_id="", keep={"elsewhere": "run_id", "default": "experiment_id"}),
    Request(
        "experiments: Default",
        "GET",
        "experiments",
        query=_named("Default"),
        has={"experiments": [{"experiment_id": "<default>"}]},
    ),
    Request(
        "runs: of the experiment",
        "GET",
        "runs",
        query={"experiment_id": "<experiment>", "sort_by": "created_at desc", "page_size": 500},
        has={"runs": [{"run_id": "<run>", "created_at": ANY}], "total_size": 1},
    ),
    Request("runs: of an unknown experiment", "GET", "runs", 404, query={"experiment_id": "<nobody>"}),
    Request("runs: sorted by nonsense", "GET", "runs", 400, query={"sort_by": "nonsense desc"}, says="sorting field"),
    Request("run: get", "GET", "runs/<run>", has={"run_id": "<run>", "pipeline_version_reference": _SOURCE}),
    Request("run: unknown", "GET", "runs/<nobody>", 404),
    Request("run: terminate", "POST", "runs/<run>:terminate"),
    Request(
        "run: a terminated one",
        "GET",
        "runs/<run>",
        has={"state": "FAILED", "finished_at": ANY, "state_history": Among({"state": "CANCELING"})},
        waits=True,
    ),
    Request("run: a list of its tasks", "GET", "runs/<run>/tasks", 404, text=True),
    Request("run: terminate again", "POST", "runs/<run>:terminate", 400),
    Request("run: terminate an unknown one", "POST", "runs/<nobody>:terminate", 404),
    Request("run: delete", "DELETE", "runs/<elsewhere>"),
    Request("run: a deleted one", "GET", "runs/<elsewhere>", 404),
]
_RECURRING = [
    replace(
        _recurring("good", service_account="trainer"),
        keep={"recurring": "recurring_run_id"},
        has={"status": "DISABLED", "trigger": _CRON, "max_concurrency": "1", "no_catchup": True},
    ),
    _recurring("same name"),
    _cron("0 0 3 * * 1"),
    _cron("0 30 3 1-7 JAN-MAR ?"),
    _cron("0 */15 * 1,15 * 1-5"),
    _cron("0 3 * * 1"),  # five fields: the first is the seconds, and the last is the month
    _cron("0 3 * * MON", 400),
    _cron("@daily"),
    _cron("@never", 400),
    _cron("0 0 3 * * 7", 400),
    _cron("0 60 3 * * *", 400),
    _cron("0 0 3 * * * 2027", 400),
    _cron("whenever", 400),
    _cron("", 400),
    _every("60"),
    _every("0", 400),
    _every("-5", 400),
    _within("from then on", start_time="2030-01-01T00:00:00Z", end_time="2031-01-01T00:00:00+02:00"),
    _within("an end before its start", start_time="2030-01-01T00:00:00Z", end_time="2029-01-01T00:00:00Z"),
    _within("a start without a time zone", 400, start_time="2030-01-01T00:00:00"),
    _recurring("10 at once", max_concurrency="10"),
    _recurring("none at once", 400, "Max concurrency", max_concurrency="0"),
    _recurring("11 at once", 400, "Max concurrency", max_concurrency="11"),
    _recurring("no trigger", trigger={}),
    _recurring("no name", 500, display_name=""),
    _recurring("parameter that is not in the pipeline", 400, "not required by pipeline", **_given(nonsense=1)),
    _recurring("text for a number", 400, "requires type double or integer", **_given(number="high")),
    _recurring("unknown experiment", 404, experiment_id="<nobody>"),
    _recurring("unknown version", 500, pipeline_version_reference={**_SOURCE, "pipeline_version_id": "<nobody>"}),
    Request("recurring: get", "GET", "recurringruns/<recurring>", has={"status": "DISABLED", "display_name": "r"}),
    Request("recurring: enable", "POST", "recurringruns/<recurring>:enable"),
    Request("recurring: an enabled one", "GET", "recurringruns/<recurring>", has={"status": "ENABLED"}),
    Request("recurring: disable", "POST", "recurringruns/<recurring>:disable"),
    Request("recurring: a disabled one", "GET", "recurringruns/<recurring>", has={"status": "DISABLED"}),
    Request(
        "recurring: list",
        "GET",
        "recurringruns",
        query={"experiment_id": "<experiment>", "page_size": 1},
        has={"recurringRuns": [{"recurring_run_id": ANY, "experiment_id": "<experiment>"}], "next_page_token": ANY},
    ),
    Request("recurring: of an unknown experiment", "GET", "recurringruns", 404, query={"experiment_id": "<nobody>"}),
    Request("recurring: delete", "DELETE", "recurringruns/<recurring>"),
    Request("recurring: delete again", "DELETE", "recurringruns/<recurring>", 404),
    Request("recurring: get a deleted one", "GET", "recurringruns/<recurring>", 404),
    Request("recurring: enable an unknown one", "POST", "recurringruns/<nobody>:enable", 404),
    Request("recurring: disable an unknown one", "POST", "recurringruns/<nobody>:disable", 404),
]
REQUESTS = [*_PIPELINES, *_VERSIONS, *_EXPERIMENTS, *_RUNS, *_RECURRING]
