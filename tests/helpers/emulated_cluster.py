"""Runs a compiled package as open-source Kubeflow Pipelines does: driver, cache, launcher, one pod per try.

It follows the backend (backend/src/v2/driver and backend/src/v2/component) in these points: inputs and outputs as
protobuf's JSON, input artifacts without their type, properties as ML Metadata returns them, and the cache's key.
"""

from __future__ import annotations

import concurrent.futures
import copy
import hashlib
import itertools
import json
import re
import shutil
import threading
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pod
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from kubeflow.package import Package

SUCCEEDED, CACHED, FAILED, SKIPPED = "SUCCEEDED", "CACHED", "FAILED", "SKIPPED"
_FOLDERS = {"gs://": "/gcs/", "s3://": "/s3/", "minio://": "/minio/"}
_PLACEHOLDER = re.compile(r"\{\{\$\.(inputs|outputs)\.(parameters|artifacts)\['([^']+)'\](?:\.(\w+))?\}\}")
_OUTPUT_FILE = "/tmp/kfp_outputs/output_metadata.json"
_PARAMETERS = "/tmp/kfp/outputs"

Json = dict[str, Any]


@dataclass
class Task:
    """The result of a task.

    Attributes:
      state: SUCCEEDED, CACHED, FAILED or SKIPPED.
      exit_codes: of each try.
      log: the output of all tries.
      inputs: the driver's `ExecutorInput`.
      parameters: output parameters.
      artifacts: output artifacts, as ML Metadata stores them.
    """

    state: str
    exit_codes: list[int] = field(default_factory=list)
    log: Path | None = None
    inputs: Json = field(default_factory=dict)
    parameters: Json = field(default_factory=dict)
    artifacts: dict[str, Json] = field(default_factory=dict)

    @property
    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log else ""


class Cluster:
    """An object store, ML Metadata, a cache and volumes. Runs share them."""

    def __init__(self, folder: Path, volumes: Mapping[str, Path], warm: bool = False):
        """Makes one.

        Args:
          folder: for all its files.
          volumes: claim to the folder on this machine.
          warm: whether pods are forked from a process that has the libraries loaded, see pod.py.
        """
        self.folder, self.volumes, self.warm = folder, dict(volumes), warm
        self._cache: dict[str, Task] = {}
        self._ids, self._runs = itertools.count(1), itertools.count(1)
        self._lock = threading.Lock()

    def run(
        self,
        package: Package,
        parameters: Mapping[str, Any] | None = None,
        kill: Mapping[str, Callable[[], bool]] | None = None,
        until: str | None = None,
        cold: Collection[str] = (),
    ) -> dict[str, Task]:
        """Runs all tasks, two at a time.

        Args:
          package: the compiled pipeline.
          parameters: of the run.
          kill: task to a condition; the task's first try is killed when the condition holds.
          until: only this task and those that it depends on run, the others are SKIPPED; None: all tasks run.
          cold: tasks whose pods are started, though those of the cluster are warm.

        Returns:
          the tasks by name.
        """
        json_format.ParseDict(package.spec, pipeline_spec_pb2.PipelineSpec())
        run = _Run(self, package, dict(parameters or {}), dict(kill or {}), cold, f"run-{next(self._runs)}")
        return run.tasks(until)

    def stored(self, uri: str) -> Path:
        """The file or folder of an address in the object store."""
        return self.folder / "objects" / uri.replace("://", "/")

    def new_id(self) -> str:
        with self._lock:
            return str(next(self._ids))

    def cached(self, key: str) -> Task | None:
        return self._cache.get(key)

    def keep(self, key: str, task: Task) -> None:
        self._cache[key] = task


class _Run:
    def __init__(
        self,
        cluster: Cluster,
        package: Package,
        parameters: Json,
        kill: dict[str, Callable[[], bool]],
        cold: Collection[str],
        run_id: str,
    ):
        self._cluster, self._package, self._kill, self._cold, self._id = cluster, package, kill, cold, run_id
        unknown = set(parameters) - set(package.parameters)
        assert not unknown, f"the server refuses unknown parameters: {unknown}"
        self._parameters = {name: spec.get("defaultValue") for name, spec in package.parameters.items()} | parameters
        self._done: dict[str, Task] = {}
        executors = package.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
        self._kubernetes = lambda name: executors.get(package.component(name)["executorLabel"], {})

    def tasks(self, until: str | None = None) -> dict[str, Task]:
        upstream = {name: self._upstream(task) for name, task in self._package.tasks.items()}
        wanted = _with_all_before(until, upstream) if until else set(upstream)
        self._done = {name: Task(SKIPPED) for name in upstream if name not in wanted}
        left = {name: needed for name, needed in upstream.items() if name in wanted}
        under_way: dict[concurrent.futures.Future[Task], str] = {}
        with concurrent.futures.ThreadPoolExecutor(2) as pods:
            while left or under_way:
                for name in [name for name, needed in left.items() if needed <= set(self._done)]:
                    del left[name]
                    if all(self._done[needed].state in (SUCCEEDED, CACHED) for needed in upstream[name]):
                        under_way[pods.submit(self._drive, name)] = name
                    else:
                        self._done[name] = Task(SKIPPED)
                if under_way:
                    ended, _ = concurrent.futures.wait(under_way, return_when=concurrent.futures.FIRST_COMPLETED)
                    for future in ended:
                        self._done[under_way.pop(future)] = future.result()
        return self._done

    @staticmethod
    def _upstream(task: Json) -> set[str]:
        inputs = task.get("inputs", {})
        artifacts = [a["taskOutputArtifact"]["producerTask"] for a in inputs.get("artifacts", {}).values()]
        parameters = [
            p["taskOutputParameter"]["producerTask"]
            for p in inputs.get("parameters", {}).values()
            if "taskOutputParameter" in p
        ]
        return {*task.get("dependentTasks", []), *artifacts, *parameters}

    def _drive(self, name: str) -> Task:
        """Does the driver's work, and the launcher's unless the cache answers."""
        inputs = self._inputs(name)
        key = self._cache_key(name, inputs)
        may_be_cached = self._package.tasks[name].get("cachingOptions", {}).get("enableCache", False)
        if may_be_cached and (known := self._cluster.cached(key)):
            return Task(CACHED, inputs=inputs, parameters=known.parameters, artifacts=known.artifacts)
        policy = self._package.tasks[name].get("retryPolicy", {})
        task = Task(FAILED, inputs=inputs, log=self._cluster.folder / f"{self._id}-{name}.log")
        for attempt in range(1 + int(policy.get("maxRetryCount", 0))):
            if self._launch(name, attempt, task):
                task.state = SUCCEEDED
                if may_be_cached:
                    self._cluster.keep(key, task)
                break
        return task

    def _inputs(self, name: str) -> Json:
        task, component = self._package.tasks[name], self._package.component(name)
        inputs: Json = {"parameterValues": {}, "artifacts": {}}
        for key, source in task.get("inputs", {}).get("parameters", {}).items():
            inputs["parameterValues"][key] = self._parameter(source)
        for key, source in task.get("inputs", {}).get("artifacts", {}).items():
            produced = source["taskOutputArtifact"]
            kept = self._done[produced["producerTask"]].artifacts[produced["outputArtifactKey"]]
            artifact = {**copy.deepcopy(kept), "type": {"instanceSchema": ""}}
            inputs["artifacts"][key] = {"artifacts": [artifact]}
        wanted = component.get("inputDefinitions", {}).get("parameters", {})
        for key, value in inputs["parameterValues"].items():
            _check_type(key, value, wanted[key]["parameterType"])
        return {"inputs": inputs}

    def _parameter(self, source: Json) -> Any:
        if "runtimeValue" in source:
            return source["runtimeValue"]["constant"]
        if "componentInputParameter" in source:
            return self._parameters[source["componentInputParameter"]]
        produced = source["taskOutputParameter"]
        return self._done[produced["producerTask"]].parameters[produced["outputParameterKey"]]

    def _cache_key(self, name: str, inputs: Json) -> str:
        names = {k: [a["name"] for a in v["artifacts"]] for k, v in inputs["inputs"]["artifacts"].items()}
        container = self._package.container(name)
        parts = [
            names,
            inputs["inputs"]["parameterValues"],
            self._package.component(name).get("outputDefinitions", {}),
            [container["image"], container["command"], container.get("args", []), container.get("env", [])],
            sorted(mount["constant"] for mount in self._kubernetes(name).get("pvcMount", [])),
        ]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def _launch(self, name: str, attempt: int, task: Task) -> bool:
        """One try in its own pod; its results are kept only if it succeeds."""
        folder = self._cluster.folder / "pods" / f"{self._id}-{name}-{attempt}"
        outputs = self._outputs(name, attempt)
        executor_input = {**task.inputs, "outputs": outputs}
        json_format.ParseDict(executor_input, pipeline_spec_pb2.ExecutorInput())
        mounts = self._mounts(name, folder)
        self._download(task.inputs, folder)
        for several in outputs["artifacts"].values():
            _in_pod(folder, several["artifacts"][0]["uri"]).parent.mkdir(parents=True, exist_ok=True)
        container = self._package.container(name)
        command = [_filled(part, executor_input) for part in [*container["command"], *container.get("args", [])]]
        environment = {entry["name"]: entry["value"] for entry in container.get("env", [])}
        warm = self._cluster.warm and name not in self._cold
        code = pod.run(command, mounts, environment, task.log, self._kill.pop(name, None), warm)
        task.exit_codes.append(code)
        if code:
            return False
        self._publish(name, task, outputs, folder)
        shutil.rmtree(folder)
        return True

    def _mounts(self, name: str, folder: Path) -> dict[str, Path]:
        own = {"/gcs": "gcs", "/s3": "s3", "/minio": "minio"}
        own |= {str(Path(_OUTPUT_FILE).parent): "metadata", _PARAMETERS: "parameters"}
        mounts = {place: folder / below for place, below in own.items()}
        for path in mounts.values():
            path.mkdir(parents=True)
        empty = [mount["mountPath"] for mount in self._kubernetes(name).get("emptyDirMounts", [])]
        assert "/tmp" in empty, "with a read-only root file system nothing could be written"
        for mount in self._kubernetes(name).get("pvcMount", []):
            mounts[mount["mountPath"]] = self._cluster.volumes[mount["constant"]]
        return mounts

    def _download(self, inputs: Json, folder: Path) -> None:
        for several in inputs["inputs"]["artifacts"].values():
            for artifact in several["artifacts"]:
                stored = self._cluster.stored(artifact["uri"])
                if stored.exists():  # an artifact may be empty
                    shutil.copytree(stored, _in_pod(folder, artifact["uri"]))

    def _outputs(self, name: str, attempt: int) -> Json:
        definitions = self._package.component(name).get("outputDefinitions", {})
        root = f"{self._package.spec['defaultPipelineRoot']}/{self._package.spec['pipelineInfo']['name']}"
        where = f"{root}/{self._id}/{name}/{attempt}-{uuid.uuid4()}"
        artifacts = {
            key: {"artifacts": [{"name": key, "uri": f"{where}/{key}", "type": spec["artifactType"], "metadata": {}}]}
            for key, spec in definitions.get("artifacts", {}).items()
        }
        parameters = {key: {"outputFile": f"{_PARAMETERS}/{key}"} for key in definitions.get("parameters", {})}
        return {"artifacts": artifacts, "parameters": parameters, "outputFile": _OUTPUT_FILE}

    def _publish(self, name: str, task: Task, outputs: Json, folder: Path) -> None:
        file = folder / "metadata" / Path(_OUTPUT_FILE).name
        written = json.loads(file.read_text()) if file.exists() else {}
        json_format.ParseDict(written, pipeline_spec_pb2.ExecutorOutput())  # strict, as the launcher is
        types = self._package.component(name).get("outputDefinitions", {}).get("parameters", {})
        for key in outputs["parameters"]:
            text = (folder / "parameters" / key).read_text()
            task.parameters[key] = text if types[key]["parameterType"] == "STRING" else json.loads(text)
        for key, several in outputs["artifacts"].items():
            artifact = several["artifacts"][0]
            (about,) = written.get("artifacts", {}).get(key, {}).get("artifacts", [{}])
            uri = about.get("uri") or artifact["uri"]
            local = _in_pod(folder, uri)
            if local.is_file():
                self._cluster.stored(uri).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(local, self._cluster.stored(uri))
            elif local.exists():
                shutil.copytree(local, self._cluster.stored(uri))
            metadata = {k: _as_ml_metadata_returns_it(v) for k, v in about.get("metadata", {}).items()}
            metadata |= {"display_name": key, "store_session_info": '{"Provider":"s3"}'}
            task.artifacts[key] = {"name": self._cluster.new_id(), "uri": uri, "metadata": metadata}


def _with_all_before(name: str, upstream: Mapping[str, set[str]]) -> set[str]:
    return {name}.union(*(_with_all_before(before, upstream) for before in upstream[name]))


def _in_pod(folder: Path, uri: str) -> Path:
    for scheme, place in _FOLDERS.items():
        if uri.startswith(scheme):
            return folder / place.strip("/") / uri.removeprefix(scheme)
    raise AssertionError(f"the launcher knows no such address: {uri}")


def _filled(text: str, executor_input: Json) -> str:
    if text == "{{$}}":
        return json.dumps(executor_input)

    def value(match: re.Match[str]) -> str:
        side, kind, key, attribute = match.groups()
        if (side, kind, attribute) == ("outputs", "parameters", "output_file"):
            return executor_input["outputs"]["parameters"][key]["outputFile"]
        assert (side, kind, attribute) == ("inputs", "parameters", None), f"not known here: {match[0]}"
        found = executor_input["inputs"]["parameterValues"][key]
        return found if isinstance(found, str) else json.dumps(found)

    return _PLACEHOLDER.sub(value, text)


def _check_type(name: str, value: Any, wanted: str) -> None:
    allowed = {"STRING": str, "NUMBER_INTEGER": (int, float), "NUMBER_DOUBLE": (int, float), "BOOLEAN": bool}[wanted]
    assert isinstance(value, allowed), f"{name} should be a {wanted}: {value!r}"
    if wanted == "NUMBER_INTEGER":
        assert value == int(value), f"{name} should be a whole number: {value!r}"


def _as_ml_metadata_returns_it(value: Any) -> Any:
    if value is None:
        raise AssertionError("the launcher refuses null in an artifact's metadata")
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, list):
        return {"list": value}
    return {"struct": value} if isinstance(value, dict) else value
