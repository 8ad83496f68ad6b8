"""The file of a compiled pipeline: two YAML documents, a pipeline spec and a platform spec for Kubernetes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from modules.files import atomic_write


@dataclass(frozen=True)
class Package:
    """A compiled pipeline.

    Attributes:
      spec: https://github.com/kubeflow/pipelines/blob/master/api/v2alpha1/pipeline_spec.proto, `PipelineSpec`.
      platform: `PlatformSpec` of the same file, for Kubernetes.
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
        """The component of a task."""
        return self.spec["components"][self.tasks[task]["componentRef"]["name"]]

    def container(self, task: str) -> dict[str, Any]:
        """The container of a task."""
        label = self.component(task)["executorLabel"]
        return self.spec["deploymentSpec"]["executors"][label]["container"]

    def write(self, path: Path) -> None:
        """Writes the file; readers see the whole file or none.

        Raises:
          google.protobuf.json_format.ParseError: if it has a field that Kubeflow Pipelines does not know.
        """
        json_format.ParseDict(self.spec, pipeline_spec_pb2.PipelineSpec())
        json_format.ParseDict(self.platform, pipeline_spec_pb2.PlatformSpec())
        documents = json.loads(json.dumps([self.spec, self.platform]))  # a copy, in which YAML finds nothing to link
        atomic_write(path, yaml.safe_dump_all(documents, sort_keys=True, width=120))
