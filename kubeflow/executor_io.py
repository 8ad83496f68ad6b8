"""Translates the messages between Kubeflow's open-source launcher and TFX. Both sides are JSON.

TFX 1.21 was written for Vertex AI. On open-source Kubeflow Pipelines, its own entrypoint fails at the second task
(https://github.com/tensorflow/tfx/issues/7768). The differences:

- Input artifacts come without their type (`instanceSchema` is empty). The type is in the component's specification,
  which the compiler passes to the container as well.
- Artifacts have addresses with `gs://`, `s3://` and `minio://`. The launcher copies them to and from folders of the
  container. TFX knows only the first scheme, so its executors get the folders, and outputs get their addresses back.
- ML Metadata adds properties of its own, wraps lists and structs, and does not accept null.

Later servers keep artifacts themselves, without ML Metadata (https://github.com/kubeflow/pipelines/pull/13986). There,
the name of an input artifact is that of the output which made it, and is not unique; its id is a field of its own,
which the protobufs of earlier SDKs refuse. Its type is a title that TFX cannot read, such as `Artifact`. Properties
come as they were written.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

# The folders of the launcher's copies: backend/src/v2/component/launcher_v2.go, `LocalPathForURI`.
_FOLDERS = {"gs://": "/gcs/", "s3://": "/s3/", "minio://": "/minio/"}

_ADDED_BY_KUBEFLOW = ("display_name", "store_session_info")
_ADDED_PREFIX = "_kfp_"  # of properties, without ML Metadata
_WRAPPERS = {"list": list, "struct": dict}  # of ML Metadata, by what they wrap
_FIELDS = ("name", "uri", "type", "properties", "customProperties", "metadata")  # of artifacts; TFX needs no others
_LOGS = "executor-logs"  # an output that a server adds if it stores logs as artifacts

# TFX reads the title of an artifact type as an import path. Those of our own types are not: what they begin with, and
# the module that has a class of the same name.
_OWN_TYPES, _MODULE = "title: regraft.", "title: components.artifacts."


def local_path(uri: str) -> str:
    """The container's folder for an artifact's address; any other path is returned unchanged."""
    for scheme, folder in _FOLDERS.items():
        if uri.startswith(scheme):
            return folder + uri.removeprefix(scheme)
    return uri


def for_executor(executor_input: Mapping[str, Any], inputs_spec: Mapping[str, Any]) -> dict[str, Any]:
    """The launcher's message as TFX's functions can read it; a copy.

    Args:
      executor_input: `ExecutorInput` of pipeline_spec.proto, as JSON.
      inputs_spec: `ComponentInputsSpec` of pipeline_spec.proto, as JSON; its `artifacts` name the types.
    """
    result = copy.deepcopy(dict(executor_input))
    artifacts = result.get("inputs", {}).get("artifacts", {})
    for key, several in artifacts.items():
        expected = inputs_spec.get("artifacts", {}).get(key, {}).get("artifactType", {})
        several["artifacts"] = [_input(artifact, expected) for artifact in several.get("artifacts", [])]
    outputs = result.get("outputs", {}).get("artifacts", {})
    outputs.pop(_LOGS, None)
    for several in outputs.values():
        for artifact in several["artifacts"]:
            artifact["uri"] = local_path(artifact["uri"])
            artifact["type"] = _importable(artifact["type"])
    return result


def for_launcher(executor_output: Mapping[str, Any], executor_input: Mapping[str, Any]) -> dict[str, Any]:
    """TFX's answer as the launcher can read it; a copy.

    Args:
      executor_output: `ExecutorOutput` of pipeline_spec.proto, as JSON.
      executor_input: the launcher's message, unchanged.
    """
    result = copy.deepcopy(dict(executor_output))
    requested = executor_input.get("outputs", {}).get("artifacts", {})
    for key, several in result.get("artifacts", {}).items():
        for artifact, original in zip(several["artifacts"], requested[key]["artifacts"], strict=True):
            artifact["uri"] = original["uri"]
            artifact["name"] = original.get("name", "")
            artifact["metadata"] = {
                name: value for name, value in artifact.get("metadata", {}).items() if value is not None
            }
    return result


def _input(artifact: Mapping[str, Any], expected: Mapping[str, Any]) -> dict[str, Any]:
    sent = artifact.get("type", {})
    is_typed = sent.get("instanceSchema") or str(sent.get("schemaTitle", "")).startswith("tfx.")
    metadata = {
        name: _unwrapped(value)
        for name, value in artifact.get("metadata", {}).items()
        if name not in _ADDED_BY_KUBEFLOW and not name.startswith(_ADDED_PREFIX)
    }
    result = {field: artifact[field] for field in _FIELDS if field in artifact}
    if identity := artifact.get("artifactId"):
        result["name"] = identity  # TFX takes names for ids
    return {
        **result,
        "uri": local_path(artifact["uri"]),
        "type": _importable(sent if is_typed else expected),
        "metadata": metadata,
    }


def _importable(artifact_type: Mapping[str, Any]) -> dict[str, Any]:
    schema = artifact_type.get("instanceSchema", "").replace(_OWN_TYPES, _MODULE)
    return {**artifact_type, "instanceSchema": schema} if schema else dict(artifact_type)


def _unwrapped(value: Any) -> Any:
    if isinstance(value, dict) and len(value) == 1:
        ((key, content),) = value.items()
        if key in _WRAPPERS and isinstance(content, _WRAPPERS[key]):
            return content
    return value
