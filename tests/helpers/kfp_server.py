"""A stand-in for Kubeflow Pipelines' API server: those parts that kubeflow/submit.py needs, as strict as the real ones.

What it refuses, and how, follows backend/src/apiserver of github.com/kubeflow/pipelines: v2_template.go (packages and
parameters), run_server.go, recurring_run_server.go, pipeline_upload_server.go (its errors always have status 500, and
their header does not say JSON).
"""

from __future__ import annotations

import contextlib
import datetime
import http.server
import json
import re
import ssl
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from email.parser import BytesParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml
from google.protobuf import json_format
from kfp.kubernetes.kubernetes_executor_config_pb2 import KubernetesExecutorConfig
from kfp.pipeline_spec import pipeline_spec_pb2

FINISHED = ("SUCCEEDED", "FAILED", "SKIPPED", "CANCELED")
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_NEVER = "1970-01-01T00:00:00Z"
_CRON = [(0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6)]
_CRON_NAMES = {name: i for names, start in (("SUN MON TUE WED THU FRI SAT", 0), ("JAN FEB MAR APR MAY JUN JUL AUG SEP "
               "OCT NOV DEC", 1)) for i, name in enumerate(names.split(), start)}  # fmt: skip


class RefusalError(Exception):
    """An error that the server answers with.

    Attributes:
      code: the HTTP status.
    """

    def __init__(self, message: str, code: int = 400) -> None:
        super().__init__(message)
        self.code = code


class KfpServer:
    """A server at `url`.

    Attributes:
      behaviour: '' for Kubeflow Pipelines; 'old' has only v1beta1, 'elsewhere' has nothing, 'page' answers every
        request with an HTML page, 'hang' never answers; a number is the HTTP status of every answer.
      token: requests without it get 401; None: no token is needed.
      multi_user: whether requests must have a namespace; otherwise they must not have one.
      script: the progress of a run: one step per request for it, and the last step again and again. A step is the state
        of the run and those of tasks by name, or an HTTP status for the answer.
      refusals: method and pattern of a path to a RefusalError that is answered once.
      requests: method and path of every request.
      most_enabled: the most recurring runs of one name in one experiment that were enabled at once.
      killed: the unfinished runs that were deleted along with their recurring runs.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.behaviour: str | int = ""
        self.token: str | None = None
        self.multi_user = False
        self.script: list[tuple[str, dict[str, str]] | int] = [("SUCCEEDED", {})]
        self.refusals: dict[tuple[str, str], RefusalError] = {}
        self.requests: list[tuple[str, str]] = []
        self.experiments: dict[str, dict[str, Any]] = {}
        self.pipelines: dict[str, dict[str, Any]] = {}
        self.versions: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.recurring_runs: dict[str, dict[str, Any]] = {}
        self.most_enabled = 0
        self.killed: list[str] = []
        self.closing = threading.Event()
        self._clock = datetime.datetime(2026, 11, 2, 3, tzinfo=datetime.UTC)

    @property
    def version_of(self) -> dict[str, str]:
        """The versions' contents by their names."""
        return {version["display_name"]: version["content"] for version in self.versions.values()}

    def add_recurring_run(self, name: str, experiment: str, enabled: bool = True, **fields: Any) -> str:
        """Adds a recurring run, and returns its id."""
        key = self._experiment_id(experiment)
        made = {"display_name": name, "experiment_id": key, "status": "ENABLED" if enabled else "DISABLED", **fields}
        return self._add(self.recurring_runs, "recurring_run_id", made)["recurring_run_id"]

    def add_run(self, experiment: str, state: str, **fields: Any) -> str:
        """Adds a run, and returns its id."""
        key = self._experiment_id(experiment)
        made = {"display_name": "run", "experiment_id": key, "state": state, "finished_at": _NEVER, **fields}
        return self._add(self.runs, "run_id", made)["run_id"]

    def _experiment_id(self, name: str) -> str:
        for key, experiment in self.experiments.items():
            if experiment["display_name"] == name:
                return key
        return self._add(self.experiments, "experiment_id", {"display_name": name})["experiment_id"]

    def _add(self, store: dict[str, dict[str, Any]], key: str, content: Mapping[str, Any]) -> dict[str, Any]:
        self._clock += datetime.timedelta(minutes=1)
        identity = str(uuid.uuid4())
        store[identity] = {key: identity, "created_at": self._clock.isoformat().replace("+00:00", "Z"), **content}
        return store[identity]

    # The handlers of requests: method, pattern of the path, function of (query, body, *groups of the pattern).

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> dict[str, Any]:
        for (wanted, pattern), refusal in list(self.refusals.items()):
            if method == wanted and re.search(pattern, path):
                del self.refusals[wanted, pattern]
                raise refusal
        for wanted, pattern, handler in self._handlers():
            if method == wanted and (found := re.fullmatch(f"/apis/v2beta1/{pattern}", path)):
                return handler(query, body, *found.groups())
        raise RefusalError("Not Found", 404)

    def _handlers(self) -> Iterator[tuple[str, str, Callable[..., dict[str, Any]]]]:
        some = "([-0-9a-f]+)"
        yield "GET", "healthz", lambda query, body: {"multi_user": True} if self.multi_user else {}
        yield "GET", "experiments", lambda query, body: self._list(self.experiments, "experiments", query, spaces=True)
        yield "POST", "experiments", self._create_experiment
        yield "GET", "pipelines", lambda query, body: self._list(self.pipelines, "pipelines", query)
        yield "POST", "pipelines", lambda query, body: self._create_pipeline(body, query)
        yield "POST", "pipelines/upload", self._upload
        yield "POST", "pipelines/upload_version", self._upload_version
        yield "GET", f"pipelines/{some}/versions", self._list_versions
        yield "POST", "runs", self._create_run
        yield "GET", "runs", lambda query, body: self._list(self.runs, "runs", query)
        yield "GET", f"runs/{some}", self._get_run
        yield "POST", "recurringruns", self._create_recurring_run
        yield "GET", "recurringruns", lambda query, body: self._list(self.recurring_runs, "recurringRuns", query)
        yield "POST", f"recurringruns/{some}:(enable|disable)", self._switch
        yield "DELETE", f"recurringruns/{some}", self._delete_recurring_run

    def _check_namespace(self, namespace: str | None) -> None:
        if self.multi_user and not namespace:
            raise RefusalError("Invalid input error: Namespace is empty in multi-user mode")
        if namespace and not self.multi_user:
            raise RefusalError("Invalid input error: In single-user mode, a namespace can't be given")

    def _list(
        self, store: Mapping[str, dict[str, Any]], name: str, query: dict[str, str], spaces: bool = False
    ) -> dict[str, Any]:
        if spaces:
            self._check_namespace(query.get("namespace"))
        found = list(store.values())
        for predicate in json.loads(query.get("filter") or "{}").get("predicates", []):
            if predicate["operation"] not in (1, "EQUALS") or predicate["key"] != "display_name":
                raise RefusalError(f"Invalid input error: filter {predicate}")
            found = [one for one in found if one["display_name"] == predicate["stringValue"]]
        for key in ("experiment_id", "namespace"):
            if query.get(key):
                found = [one for one in found if one.get(key) == query[key]]
        field, _, order = query.get("sort_by", "").partition(" ")
        if field not in ("", "created_at") or order not in ("", "asc", "desc"):
            raise RefusalError(f"Invalid input error: sort_by {query['sort_by']}")
        found.sort(key=lambda one: one["created_at"], reverse=order == "desc")
        start, size = int(query.get("page_token") or 0), min(int(query.get("page_size") or 20), 200)
        more = {"next_page_token": str(start + size)} if start + size < len(found) else {}
        page = [{key: value for key, value in one.items() if key != "content"} for one in found[start : start + size]]
        return {**({name: page} if page else {}), "total_size": len(found), **more}

    def _create_experiment(self, query: Any, body: dict[str, Any]) -> dict[str, Any]:
        self._check_namespace(body.get("namespace"))
        return self._add(self.experiments, "experiment_id", body)

    def _create_pipeline(self, body: dict[str, Any], query: Any) -> dict[str, Any]:
        name, namespace = body.get("display_name"), body.get("namespace")
        if not name:
            raise RefusalError("Invalid input error: pipeline's name cannot be empty")
        if any((one["display_name"], one.get("namespace")) == (name, namespace) for one in self.pipelines.values()):
            raise RefusalError(f"Already exist error: the name {name} already exists", 409)
        return self._add(self.pipelines, "pipeline_id", body)

    def _upload(self, query: dict[str, str], body: bytes) -> dict[str, Any]:
        check_package(body.decode())
        made = self._create_pipeline({"display_name": query["name"], "namespace": query.get("namespace")}, query)
        self._add_version(made["pipeline_id"], query["name"], body)
        return made

    def _upload_version(self, query: dict[str, str], body: bytes) -> dict[str, Any]:
        if query.get("pipelineid") not in self.pipelines:
            raise RefusalError(f"Failed to find the pipeline {query.get('pipelineid')}", 500)
        check_package(body.decode())
        return self._add_version(query["pipelineid"], query["name"], body)

    def _add_version(self, pipeline_id: str, name: str, body: bytes) -> dict[str, Any]:
        if any((one["pipeline_id"], one["display_name"]) == (pipeline_id, name) for one in self.versions.values()):
            raise RefusalError(f"Already exist error: the name {name} already exists", 500)
        content = {"pipeline_id": pipeline_id, "display_name": name, "content": body.decode()}
        return self._add(self.versions, "pipeline_version_id", content)

    def _list_versions(self, query: dict[str, str], body: Any, pipeline_id: str) -> dict[str, Any]:
        own = {key: one for key, one in self.versions.items() if one["pipeline_id"] == pipeline_id}
        return self._list(own, "pipeline_versions", query)

    def _check_source(self, body: dict[str, Any]) -> None:
        if body.get("experiment_id") not in self.experiments:
            raise RefusalError(f"Experiment {body.get('experiment_id')} not found", 404)
        reference = body.get("pipeline_version_reference", {})
        version = self.versions.get(reference.get("pipeline_version_id", ""))
        if version is None or version["pipeline_id"] != reference.get("pipeline_id"):
            raise RefusalError(f"Failed to fetch the pipeline version {reference}", 404)
        spec = next(iter(yaml.safe_load_all(version["content"])))
        check_parameters(spec, body.get("runtime_config", {}).get("parameters", {}))

    def _create_run(self, query: Any, body: dict[str, Any]) -> dict[str, Any]:
        self._check_source(body)
        return self._add(
            self.runs, "run_id", {**body, "state": "PENDING", "finished_at": _NEVER, "steps": list(self.script)}
        )

    def _get_run(self, query: Any, body: Any, run_id: str) -> dict[str, Any]:
        run = self.runs.get(run_id)
        if run is None:
            raise RefusalError(f"Run {run_id} not found", 404)
        steps = run.get("steps", [])
        step = steps.pop(0) if len(steps) > 1 else next(iter(steps), (run["state"], {}))
        if isinstance(step, int):
            raise RefusalError("upstream connect error", step)
        run["state"], tasks = step
        if run["state"] in FINISHED:
            run["finished_at"] = self._clock.isoformat().replace("+00:00", "Z")
        return {**run, "run_details": {"task_details": _nodes(run["state"], tasks)}} if tasks else run

    def _create_recurring_run(self, query: Any, body: dict[str, Any]) -> dict[str, Any]:
        self._check_source(body)
        check_trigger(body["trigger"])
        if not 1 <= int(body.get("max_concurrency", 0)) <= 10:
            raise RefusalError("Invalid input error: max_concurrency")
        status = {"ENABLE": "ENABLED", "DISABLE": "DISABLED"}[body["mode"]]
        made = self._add(self.recurring_runs, "recurring_run_id", {**body, "status": status})
        self._count_enabled()
        return made

    def _switch(self, query: Any, body: Any, key: str, what: str) -> dict[str, Any]:
        if key not in self.recurring_runs:
            raise RefusalError(f"Recurring run {key} not found", 404)
        self.recurring_runs[key]["status"] = {"enable": "ENABLED", "disable": "DISABLED"}[what]
        self._count_enabled()
        return {}

    def _delete_recurring_run(self, query: Any, body: Any, key: str) -> dict[str, Any]:
        if self.recurring_runs.pop(key, None) is None:
            raise RefusalError(f"Recurring run {key} not found", 404)
        for run in self.runs.values():  # Kubernetes deletes the runs that the recurring run owns
            if run.get("recurring_run_id") == key and run["state"] not in FINISHED:
                self.killed.append(run["run_id"])
        return {}

    def _count_enabled(self) -> None:
        enabled = [one for one in self.recurring_runs.values() if one["status"] == "ENABLED"]
        names = [(one["experiment_id"], one["display_name"]) for one in enabled]
        self.most_enabled = max([self.most_enabled, *map(names.count, names)])


def check_package(text: str) -> None:
    """Refuses packages that the server or its compiler for Argo refuses."""
    documents = [document for document in yaml.safe_load_all(text) if document]
    try:
        spec, platform = documents
        json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
        json_format.ParseDict(platform, pipeline_spec_pb2.PlatformSpec())
        executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
        for config in executors.values():
            json_format.ParseDict(config, KubernetesExecutorConfig())
    except (ValueError, KeyError, json_format.ParseError) as error:
        raise RefusalError(f"Invalid input error: invalid v2 pipeline spec: {error}", 500) from None
    if spec.get("schemaVersion") != "2.1.0":
        raise RefusalError(f"KFP only supports schema version 2.1.0, but has version {spec.get('schemaVersion')}", 500)
    if not re.fullmatch(rf"{_LABEL}(\.{_LABEL})*", spec["pipelineInfo"]["name"]):
        raise RefusalError("invalid v2 pipeline spec: name should consist of lower case alphanumeric characters", 500)
    _check_tasks(spec, executors)


def _check_tasks(spec: dict[str, Any], executors: dict[str, Any]) -> None:
    tasks, containers = spec["root"]["dag"]["tasks"], spec["deploymentSpec"]["executors"]
    for name, task in tasks.items():
        if not re.fullmatch(r"[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?", name):
            raise RefusalError(f"Failed to validate workflow: task name {name!r}", 500)
        component = spec["components"][task["componentRef"]["name"]]
        executor = containers[component["executorLabel"]]
        if not set(executor) <= {"container", "importer"}:
            raise RefusalError(f"component {name}: executor {set(executor)} is not supported", 500)
        if unknown := set(task.get("dependentTasks", [])) - set(tasks):
            raise RefusalError(f"task {name} depends on {unknown}", 500)
    if unknown := set(executors) - set(containers):
        raise RefusalError(f"platform spec: no executors {unknown}", 500)


def check_parameters(spec: dict[str, Any], given: dict[str, Any]) -> None:
    """Refuses parameters that validatePipelineJobInputs refuses."""
    wanted = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    if unknown := set(given) - set(wanted):
        raise RefusalError(f"Invalid input error: extra parameters {unknown}")
    types = {"NUMBER_INTEGER": (int, float), "NUMBER_DOUBLE": (int, float), "STRING": str, "BOOLEAN": bool}
    for name, parameter in wanted.items():
        if name not in given:
            if not parameter.get("isOptional") and "defaultValue" not in parameter:
                raise RefusalError(f"Invalid input error: parameter {name} has no default value and is not given")
        elif not isinstance(given[name], types[parameter["parameterType"]]):
            raise RefusalError(f"Invalid input error: input parameter {name} requires {parameter['parameterType']}")


def check_trigger(trigger: dict[str, Any]) -> None:
    """Refuses triggers that the scheduler cannot read."""
    (schedule,) = trigger.values()
    if "cron" in schedule:
        _check_cron(schedule["cron"])
    elif int(schedule["interval_second"]) <= 0:
        raise RefusalError("Invalid input error: The interval must be positive")
    moments = [schedule[key] for key in ("start_time", "end_time") if key in schedule]
    for moment in moments:
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[-+]\d\d:\d\d)", moment):
            raise RefusalError(f"parsing time {moment!r}")


def _check_cron(cron: str) -> None:
    """robfig/cron: seconds first, days of the week from 0 to 6."""
    fields = cron.split()
    if len(fields) != len(_CRON):
        raise RefusalError(f"Invalid input error: Schedule cron is not a supported format: {len(fields)} fields")
    for field, (lowest, highest) in zip(fields, _CRON, strict=True):
        for part in field.split(","):
            span, _, step = part.partition("/")
            ends = [_CRON_NAMES.get(end.upper(), end) for end in span.split("-")] if span not in "*?" else [lowest]
            numbers = [int(end) for end in ends]
            if not lowest <= numbers[0] <= numbers[-1] <= highest or (step and int(step) < 1):
                raise RefusalError(f"Invalid input error: Schedule cron is not a supported format: {part!r}")


def _nodes(state: str, tasks: Mapping[str, str]) -> list[dict[str, Any]]:
    """Argo's nodes, from which the server makes the task details: tasks, their drivers and their pods."""
    nodes = {"root-driver": "SUCCEEDED", "root": state, "fruit-x7k2p": state}
    for name, of_task in tasks.items():
        if not name.endswith("-driver"):
            nodes.setdefault(f"{name}-driver", "SUCCEEDED")
        nodes[name] = of_task
    details = [{"display_name": name, "state": of_node} for name, of_node in nodes.items()]
    return [*details, *({"display_name": "executor", "state": of_task} for of_task in tasks.values())]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: the second would wait for the first one's receipt
    kfp: KfpServer

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def log_message(self, *arguments: Any) -> None:
        """Prints nothing."""

    def _serve(self) -> None:
        address = urlsplit(self.path)
        self.kfp.requests.append((self.command, address.path))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = {key: values[0] for key, values in parse_qs(address.query).items()}
        if self._misbehaved(address.path):
            return
        if self.kfp.token and self.headers.get("Authorization") != f"Bearer {self.kfp.token}":
            self._send(401, "text/plain", "Unauthorized")
            return
        try:
            answer = self.kfp.answer(self.command, address.path, query, self._content(body))
            self._send(200, "application/json", json.dumps(answer))
        except RefusalError as refusal:
            if "/upload" in address.path:
                told = {"error_message": str(refusal), "error_details": f"{refusal}\ngoroutine 1 [running]:\nmain.go:1"}
                self._send(refusal.code, "text/plain; charset=utf-8", json.dumps(told))
            else:
                told = {"error": str(refusal), "code": 3, "message": str(refusal), "details": []}
                self._send(refusal.code, "application/json", json.dumps(told))

    def _misbehaved(self, path: str) -> bool:
        behaviour = self.kfp.behaviour
        if behaviour == "hang":
            self.kfp.closing.wait()
            self.close_connection = True
        elif behaviour == "page":
            self._send(200, "text/html", "<html><title>Sign in</title></html>")
        elif behaviour == "old" and path == "/apis/v1beta1/healthz":
            self._send(200, "application/json", '{"tag_name": "1.8.22", "multi_user": false}')
        elif behaviour in ("old", "elsewhere"):
            self._send(404, "text/html; charset=latin-1", "<h1>Seite nicht gefunden: \xfc</h1>")
        elif isinstance(behaviour, int):
            self._send(behaviour, "application/json", json.dumps({"error": "no luck today\nat main.go:1", "code": 13}))
        return bool(behaviour)

    def _content(self, body: bytes) -> Any:
        kind = self.headers.get("Content-Type", "")
        if not kind.startswith("multipart/"):
            return json.loads(body or "null")
        message = BytesParser().parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
        (part,) = message.get_payload()  # type: ignore[misc]
        return part.get_payload(decode=True)  # type: ignore[union-attr]

    def _send(self, code: int, kind: str, text: str) -> None:
        content = text.encode("latin-1" if "latin-1" in kind else "utf-8")
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextlib.contextmanager
def serving(certificate: Path | None = None) -> Iterator[KfpServer]:
    """A server that runs for as long as the context lasts.

    Args:
      certificate: a file with key and certificate, for TLS; None: no TLS.
    """
    handler = type("Handler", (_Handler,), {})
    listener = http.server.ThreadingHTTPServer(("localhost", 0), handler)
    listener.daemon_threads = True
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        listener.socket = context.wrap_socket(listener.socket, server_side=True)
    handler.kfp = KfpServer(f"{'https' if certificate else 'http'}://localhost:{listener.server_port}")
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield handler.kfp
    finally:
        handler.kfp.closing.set()
        listener.shutdown()
        thread.join()
        listener.server_close()
