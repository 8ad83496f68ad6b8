"""A stand-in for Kubeflow Pipelines' API server: those parts that kubeflow/submit.py needs, as strict as the real ones.

It follows version 2.0.5, in backend/src/apiserver of github.com/kubeflow/pipelines; kfp_rules.py says what is refused.
tests/helpers/kfp_contract.py asks it and a real server the same, and compares the answers.
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

import kfp_rules
import kfp_tasks
import yaml
from kfp_rules import RefusalError

FINISHED = ("SUCCEEDED", "FAILED", "SKIPPED", "CANCELED")
_NEVER = "1970-01-01T00:00:00Z"


class KfpServer:
    """A server at `url`.

    Attributes:
      behaviour: '' for Kubeflow Pipelines; 'old' has only v1beta1, 'elsewhere' has nothing, 'page' answers every
        request with an HTML page, 'hang' never answers; a number is the HTTP status of every answer.
      token: requests without it get 401; None: no token is needed.
      multi_user: whether requests must have a namespace; otherwise it is ignored.
      lists_tasks: whether tasks are listed, as after version 2.17; otherwise runs have task details.
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
        self.multi_user = self.lists_tasks = False
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
        raise LookupError(path)

    def _handlers(self) -> Iterator[tuple[str, str, Callable[..., dict[str, Any]]]]:
        some = "([-0-9a-f]+)"
        yield "GET", "healthz", lambda query, body: {"multi_user": self.multi_user}
        yield "GET", "experiments", lambda query, body: self._list(self.experiments, "experiments", query)
        yield "POST", "experiments", self._create_experiment
        yield "GET", "pipelines", lambda query, body: self._list(self.pipelines, "pipelines", query)
        yield "POST", "pipelines", lambda query, body: self._create_pipeline(body, query)
        yield "POST", "pipelines/upload", self._upload
        yield "POST", "pipelines/upload_version", self._upload_version
        yield "GET", f"pipelines/{some}/versions", self._list_versions
        yield "DELETE", f"pipelines/[-0-9a-f]+/versions/{some}", lambda q, b, key: self._delete(self.versions, key)
        yield "POST", "runs", self._create_run
        yield "GET", "runs", lambda query, body: self._list(self.runs, "runs", query)
        yield "GET", f"runs/{some}", self._get_run
        yield "GET", f"runs/{some}/tasks", self._list_tasks
        yield "POST", f"runs/{some}:terminate", self._terminate
        for name in ("runs", "pipelines", "experiments"):
            store = getattr(self, name)
            yield "DELETE", f"{name}/{some}", lambda query, body, key, store=store: self._delete(store, key)
        yield "POST", "recurringruns", self._create_recurring_run
        yield "GET", "recurringruns", lambda query, body: self._list(self.recurring_runs, "recurringRuns", query)
        yield "GET", f"recurringruns/{some}", lambda query, body, key: self._found(self.recurring_runs, key)
        yield "POST", f"recurringruns/{some}:(enable|disable)", self._switch
        yield "DELETE", f"recurringruns/{some}", self._delete_recurring_run

    def _check_namespace(self, namespace: str | None) -> None:
        """A server for one user ignores namespaces."""
        if self.multi_user and not namespace:
            raise RefusalError("Invalid input error: Namespace is empty in multi-user mode")

    @staticmethod
    def _found(store: Mapping[str, dict[str, Any]], key: str) -> dict[str, Any]:
        if key not in store:
            raise RefusalError(f"ResourceNotFoundError: {key} not found", 404)
        return store[key]

    def _delete(self, store: dict[str, dict[str, Any]], key: str) -> dict[str, Any]:
        self._found(store, key)
        del store[key]
        return {}

    def _list(self, store: Mapping[str, dict[str, Any]], name: str, query: dict[str, str]) -> dict[str, Any]:
        if store is self.experiments:
            self._check_namespace(query.get("namespace"))
        if query.get("experiment_id"):
            self._found(self.experiments, query["experiment_id"])
        found = list(store.values())
        for predicate in json.loads(query.get("filter") or "{}").get("predicates", []):
            if predicate["operation"] not in (1, "EQUALS") or predicate["key"] != "display_name":
                raise RefusalError(f"Invalid input error: filter {predicate}")
            found = [one for one in found if one["display_name"] == predicate["stringValue"]]
        for key in ("experiment_id", *(["namespace"] if self.multi_user else [])):
            if query.get(key):
                found = [one for one in found if one.get(key) == query[key]]
        field, _, order = query.get("sort_by", "").partition(" ")
        if field not in ("", "created_at") or order not in ("", "asc", "desc"):
            raise RefusalError(f"Invalid input error: Invalid sorting field: {query['sort_by']}")
        found.sort(key=lambda one: one["created_at"], reverse=order == "desc")
        start, size = int(query.get("page_token") or 0), min(int(query.get("page_size") or 20), 200)
        more = {"next_page_token": str(start + size)} if start + size < len(found) else {}
        page = [{key: value for key, value in one.items() if key != "content"} for one in found[start : start + size]]
        return {**({name: page, "total_size": len(found)} if page else {}), **more}

    def _create_experiment(self, query: Any, body: dict[str, Any]) -> dict[str, Any]:
        if not body.get("display_name"):
            raise RefusalError("Invalid input error: Experiment must have a non-empty name", 500)
        return self._create_named(self.experiments, "experiment_id", body)

    def _create_pipeline(self, body: dict[str, Any], query: Any) -> dict[str, Any]:
        if not body.get("display_name"):
            raise RefusalError("Invalid input error: pipeline's name cannot be empty")
        return self._create_named(self.pipelines, "pipeline_id", body)

    def _create_named(self, store: dict[str, dict[str, Any]], key: str, body: dict[str, Any]) -> dict[str, Any]:
        """A user's experiment or pipeline; its name must be new."""
        if key == "experiment_id":  # pipelines without a namespace are everybody's
            self._check_namespace(body.get("namespace"))
        own = body if self.multi_user else {name: value for name, value in body.items() if name != "namespace"}
        name = own["display_name"]
        if any([one["display_name"], one.get("namespace")] == [name, own.get("namespace")] for one in store.values()):
            raise RefusalError(f"Already exist error: The name {name} already exist. Please specify a new name", 409)
        return self._add(store, key, own)

    def _upload(self, query: dict[str, str], body: bytes) -> dict[str, Any]:
        self._read(body)
        try:
            made = self._create_pipeline({"display_name": query["name"], "namespace": query.get("namespace")}, query)
        except RefusalError as error:
            raise RefusalError(str(error), 500) from None
        self._add_version(made["pipeline_id"], query["name"], body)
        return made

    def _upload_version(self, query: dict[str, str], body: bytes) -> dict[str, Any]:
        if not query.get("pipelineid"):
            raise RefusalError("Failed to create a pipeline version due to error reading pipeline id")
        if query["pipelineid"] not in self.pipelines:
            raise RefusalError(f"ResourceNotFoundError: Pipeline {query['pipelineid']} not found")
        self._read(body)
        return self._add_version(query["pipelineid"], query["name"], body)

    def _read(self, body: bytes) -> None:
        """Refuses wrong packages. On text that is not YAML, the server works without end."""
        try:
            kfp_rules.check_upload(body.decode())
        except yaml.YAMLError as error:
            self.closing.wait()
            raise RefusalError(str(error), 500) from None

    def _add_version(self, pipeline_id: str, name: str, body: bytes) -> dict[str, Any]:
        if any((one["pipeline_id"], one["display_name"]) == (pipeline_id, name) for one in self.versions.values()):
            raise RefusalError(f"Already exist error: The name {name} already exist. Specify a new name", 500)
        content = {"pipeline_id": pipeline_id, "display_name": name, "content": body.decode()}
        return self._add(self.versions, "pipeline_version_id", content)

    def _list_versions(self, query: dict[str, str], body: Any, pipeline_id: str) -> dict[str, Any]:
        self._found(self.pipelines, pipeline_id)
        own = {key: one for key, one in self.versions.items() if one["pipeline_id"] == pipeline_id}
        return self._list(own, "pipeline_versions", query)

    def _checked(self, body: dict[str, Any]) -> dict[str, Any]:
        """A run or recurring run with its experiment; refuses wrong ones."""
        if not body.get("display_name"):
            raise RefusalError("Invalid input error: name cannot be empty", 500)
        if body.get("experiment_id"):
            self._found(self.experiments, body["experiment_id"])
        elif self.multi_user:
            raise RefusalError("Invalid input error: Experiment id can not be empty in multi-user mode")
        else:
            body = {**body, "experiment_id": self._experiment_id("Default")}
        reference = body.get("pipeline_version_reference", {})
        version = self.versions.get(reference.get("pipeline_version_id", ""))
        if version is None:
            raise RefusalError(f"ResourceNotFoundError: PipelineVersion not found: {reference}", 500)
        if version["pipeline_id"] != reference.get("pipeline_id"):
            raise RefusalError(f"Pipeline version belongs to pipeline {version['pipeline_id']}", 500)
        spec = kfp_rules.check_compiled(version["content"], argo="trigger" not in body)
        kfp_rules.check_parameters(spec, body.get("runtime_config", {}).get("parameters", {}))
        return body

    def _create_run(self, query: Any, body: dict[str, Any]) -> dict[str, Any]:
        made = {**self._checked(body), "state": "PENDING", "finished_at": _NEVER, "steps": list(self.script)}
        return self._add(self.runs, "run_id", {**made, "state_history": [{"state": "PENDING"}]})

    def _get_run(self, query: Any, body: Any, run_id: str) -> dict[str, Any]:
        run = self._found(self.runs, run_id)
        steps = run.get("steps", [])
        step = steps.pop(0) if len(steps) > 1 else next(iter(steps), (run["state"], {}))
        if isinstance(step, int):
            raise RefusalError("upstream connect error", step)
        run["state"], tasks = step
        history = run.setdefault("state_history", [])
        if not history or history[-1]["state"] != run["state"]:
            history.append({"state": run["state"]})
        if run["state"] in FINISHED:
            run["finished_at"] = self._clock.isoformat().replace("+00:00", "Z")
        run["tasks"] = tasks
        shown = {key: value for key, value in run.items() if key not in ("steps", "tasks")}
        details = kfp_tasks.details(run["state"], tasks) if tasks and not self.lists_tasks else []
        return {**shown, **({"run_details": {"task_details": details}} if details else {})}

    def _list_tasks(self, query: dict[str, str], body: Any, run_id: str) -> dict[str, Any]:
        """One task at a time, so that callers must follow the pages."""
        if not self.lists_tasks:
            raise LookupError(run_id)
        run, at = self._found(self.runs, run_id), int(query.get("page_token") or 0)
        listed = kfp_tasks.listed(run.get("tasks", {}))
        return {"tasks": listed[at : at + 1], "next_page_token": str(at + 1) if at + 1 < len(listed) else ""}

    def _terminate(self, query: Any, body: Any, run_id: str) -> dict[str, Any]:
        """Argo ends the run; its tasks, and the run itself, have failed then."""
        run = self._found(self.runs, run_id)
        if run["state"] in (*FINISHED, "CANCELING"):
            raise RefusalError(f"Invalid input error: Failed to terminate a run {run_id}. Row not found")
        run["state"], run["steps"] = "CANCELING", [("CANCELING", {}), ("FAILED", {})]
        return {}

    def _create_recurring_run(self, query: Any, body: dict[str, Any]) -> dict[str, Any]:
        kfp_rules.check_trigger(body.get("trigger", {}))
        if not 1 <= int(body.get("max_concurrency", 0)) <= 10:
            raise RefusalError("Invalid input error: Max concurrency of a recurring run must be at leas 1")
        status = "ENABLED" if body.get("mode") == "ENABLE" else "DISABLED"
        made = self._add(self.recurring_runs, "recurring_run_id", {**self._checked(body), "status": status})
        self._count_enabled()
        return made

    def _switch(self, query: Any, body: Any, key: str, what: str) -> dict[str, Any]:
        self._found(self.recurring_runs, key)["status"] = {"enable": "ENABLED", "disable": "DISABLED"}[what]
        self._count_enabled()
        return {}

    def _delete_recurring_run(self, query: Any, body: Any, key: str) -> dict[str, Any]:
        self._delete(self.recurring_runs, key)
        for run in self.runs.values():  # Kubernetes deletes the runs that the recurring run owns
            if run.get("recurring_run_id") == key and run["state"] not in FINISHED:
                self.killed.append(run["run_id"])
        return {}

    def _count_enabled(self) -> None:
        enabled = [one for one in self.recurring_runs.values() if one["status"] == "ENABLED"]
        names = [(one["experiment_id"], one["display_name"]) for one in enabled]
        self.most_enabled = max([self.most_enabled, *map(names.count, names)])


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: the second would wait for the first one's receipt
    kfp: KfpServer

    def log_message(self, *arguments: Any) -> None:
        """Prints nothing."""

    def do_GET(self) -> None:
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
        except LookupError:
            self._send(404, "text/plain; charset=utf-8", "Not Found\n")
        except RefusalError as refusal:
            if "/upload" in address.path:
                told = {"error_message": str(refusal), "error_details": f"{refusal}\ngoroutine 1 [running]:\nmain.go:1"}
                self._send(refusal.code, "text/plain; charset=utf-8", json.dumps(told))
            else:
                code = {404: 5, 409: 6, 500: 13}.get(refusal.code, 3)  # of gRPC
                told = {"error": str(refusal), "code": code, "message": str(refusal), "details": []}
                self._send(refusal.code, "application/json", json.dumps(told))

    do_POST = do_DELETE = do_GET  # noqa: N815  http.server's names

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
