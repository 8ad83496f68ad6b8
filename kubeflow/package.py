"""What Kubeflow Pipelines takes: a pipeline spec and a Kubernetes platform spec, two documents of one YAML file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2


@dataclass(frozen=True)
class Package:
    """A compiled pipeline.

    Attributes:
      spec: https://github.com/kubeflow/pipelines/blob/master/api/v2alpha1/pipeline_spec.proto, `PipelineSpec`.
      platform: the same, `PlatformSpec`, of Kubernetes.
    """

    spec: dict[str, Any]
    platform: dict[str, Any]

    @property
    def parameters(self) -> dict[str, dict[str, Any]]:
        """The run's parameters by name: `parameterType`, `defaultValue`, `description`."""
        return self.spec["root"].get("inputDefinitions", {}).get("parameters", {})

    @property
    def tasks(self) -> dict[str, dict[str, Any]]:
        """The tasks by name."""
        return self.spec["root"]["dag"]["tasks"]

    def component(self, task: str) -> dict[str, Any]:
        """What a task is an instance of."""
        return self.spec["components"][self.tasks[task]["componentRef"]["name"]]

    def container(self, task: str) -> dict[str, Any]:
        """What a task runs."""
        label = self.component(task)["executorLabel"]
        return self.spec["deploymentSpec"]["executors"][label]["container"]

    def write(self, path: Path) -> None:
        """Writes the file, whole or not at all.

        Raises:
          google.protobuf.json_format.ParseError: if it has a field that Kubeflow Pipelines doesn't know.
        """
        json_format.ParseDict(self.spec, pipeline_spec_pb2.PipelineSpec())
        json_format.ParseDict(self.platform, pipeline_spec_pb2.PlatformSpec())
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp")
        documents = json.loads(json.dumps([self.spec, self.platform]))  # what stands twice is written twice, not linked
        with temporary.open("w", encoding="utf-8") as file:
            yaml.safe_dump_all(documents, file, sort_keys=True, width=120)
        temporary.replace(path)
