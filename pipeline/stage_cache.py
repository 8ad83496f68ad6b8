"""The cache of a run on this machine: TFX's, with two differences.

TFX's cache key contains the paths of the input artifacts, and the paths among a stage's parameters. Here an artifact
counts by its content, and a path that the configuration names by the name of its field, since every stage that reads
such a file has the file's state in its key. So a workspace, a data folder or an environment can be moved.

TFX uses a cached artifact if its folder exists. Here its files are compared with the record of them.
"""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from google.protobuf import message
from ml_metadata.proto import metadata_store_pb2
from tfx import types
from tfx.orchestration import metadata
from tfx.orchestration.portable import cache_utils
from tfx.orchestration.portable.mlmd import execution_lib
from tfx.proto.orchestration import executable_spec_pb2, pipeline_pb2
from tfx.types import standard_artifacts

from components import artifact_files
from config.run import RunConfig
from config.section import is_uri
from pipeline import run_metadata

_log = logging.getLogger("regraft.cache")


def locations(config: RunConfig, run_folder: str | Path, push_directory: str) -> dict[str, str]:
    """The paths that must not count in a cache key: path to what stands for it.

    Args:
      config: of the run.
      run_folder: of the pipeline.
      push_directory: where versions go.
    """
    named = {"data.path": config.data.path, "data.root": config.data.root, "data.schema": config.data.schema_}
    named |= {f"backbone.{index}": path for index, path in enumerate(config.backbone.files)}
    named |= {"push.directory": push_directory, "run folder": str(run_folder)}
    # The state of objects in a bucket may be that of a table alone, so where they are counts.
    return {
        path: f"<{name}>" for name, path in named.items() if path and (not is_uri(path) or path.startswith("file://"))
    }


class StageCache:
    """Takes the place of tfx.orchestration.portable.cache_utils for one stage of a run."""

    def __init__(self, locations: Mapping[str, str]):
        """Makes a cache.

        Args:
          locations: path to what stands for it in the key.
        """
        self._locations = locations
        self._stage = self._push_directory = ""

    def get_cache_context(
        self,
        metadata_handle: metadata.Metadata,
        pipeline_node: pipeline_pb2.PipelineNode,
        pipeline_info: pipeline_pb2.PipelineInfo,
        executor_spec: message.Message | None = None,
        input_artifacts: Mapping[str, Sequence[types.Artifact]] | None = None,
        output_artifacts: Mapping[str, Sequence[types.Artifact]] | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> metadata_store_pb2.Context:
        """As TFX's function has it."""
        self._stage = pipeline_node.node_info.id
        self._push_directory = str((parameters or {}).get("directory", ""))
        if isinstance(executor_spec, executable_spec_pb2.BeamExecutableSpec):
            executor_spec = executor_spec.python_executor_spec  # how Beam works does not change what it computes
        return cache_utils.get_cache_context(
            metadata_handle=metadata_handle,
            pipeline_node=pipeline_node,
            pipeline_info=pipeline_info,
            executor_spec=executor_spec,
            input_artifacts={key: list(map(_content, several)) for key, several in (input_artifacts or {}).items()},
            output_artifacts=output_artifacts,
            parameters={key: self._without_paths(value) for key, value in (parameters or {}).items()},
        )

    def get_cached_outputs(
        self, metadata_handle: metadata.Metadata, cache_context: metadata_store_pb2.Context
    ) -> dict[str, list[types.Artifact]] | None:
        """As TFX's function has it. An artifact that is damaged is marked as deleted, so that TFX passes over it."""
        store = metadata_handle.store
        problems: list[str] = []
        executions = filter(execution_lib.is_execution_successful, store.get_executions_by_context(cache_context.id))
        for execution in execution_lib.sort_executions_newest_to_oldest(executions):
            outputs = run_metadata.outputs_of(store, execution.id)
            if any(artifact.state != metadata_store_pb2.Artifact.LIVE for artifact in outputs):
                continue
            damaged = {artifact.id: problem for artifact in outputs if (problem := self._problem(artifact))}
            if not damaged:
                break
            problems += damaged.values()
            run_metadata.mark_deleted(store, [artifact for artifact in outputs if artifact.id in damaged])
        found = cache_utils.get_cached_outputs(metadata_handle=metadata_handle, cache_context=cache_context)
        if found is None and problems:
            _log.warning("%s: the cached result is damaged (%s); the stage runs again", self._stage, problems[0])
        return found

    def _problem(self, artifact: metadata_store_pb2.Artifact) -> str:
        """What is wrong with a cached artifact; empty if nothing is."""
        properties = artifact.custom_properties
        if artifact.type == standard_artifacts.PushedModel.TYPE_NAME and properties["pushed"].int_value:
            version = properties["pushed_version"].string_value
            if not Path(self._push_directory, version).is_dir():  # as in an older copy of the push directory
                return f"version {version} is missing"
        if artifact_files.PROPERTY not in properties:
            return "there is no record of its files"
        return artifact_files.damage(artifact.uri, properties[artifact_files.PROPERTY].string_value)

    def _without_paths(self, value: Any) -> Any:
        """A parameter in which paths are replaced: the whole value, the beginning of a path, or such a text in JSON."""
        if isinstance(value, dict):
            return {self._without_paths(key): self._without_paths(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._without_paths(item) for item in value]
        if not isinstance(value, str):
            return value
        if value.startswith(("{", "[")):
            try:
                return json.dumps(self._without_paths(json.loads(value)), sort_keys=True)
            except json.JSONDecodeError:
                return value
        for path in sorted(self._locations, key=len, reverse=True):
            if value == path or value.startswith(path.rstrip("/") + "/"):
                return self._locations[path] + value.removeprefix(path)
        return value


def _content(artifact: types.Artifact) -> types.Artifact:
    """A copy of an artifact, without all that says which one it is and where; its content is described instead."""
    result = copy.deepcopy(artifact)
    description = result.mlmd_artifact
    recorded = description.custom_properties[artifact_files.PROPERTY].string_value
    # Only artifacts that no stage has written have no record. Their names are made of their content.
    content = artifact_files.digest(recorded) if recorded else run_metadata.relative_uri(artifact.uri)
    description.custom_properties[artifact_files.PROPERTY].string_value = content
    for value in description.custom_properties.values():  # Evaluator notes the paths of the models in its blessing
        if value.string_value:
            value.string_value = run_metadata.relative_uri(value.string_value)
    for field in ("id", "uri", "name", "create_time_since_epoch", "last_update_time_since_epoch"):
        description.ClearField(field)
    return result
