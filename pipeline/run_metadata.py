"""What ML Metadata recorded of a run: the outputs of each stage, and whether they came from the cache."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2

from components.baseline_model.properties import ABSENT, VERSION
from config.stages import BASELINE_MODEL

CHECK_PREFIX = "check "  # at the start of the run id, if only the data was checked
_RUN = "pipeline_run"
_DONE = (metadata_store_pb2.Execution.COMPLETE, metadata_store_pb2.Execution.CACHED)


@dataclass(frozen=True)
class StageRecord:
    """One stage of one run.

    Attributes:
      cached: whether the outputs are those of an earlier run.
      inputs, outputs: artifacts by the name of the channel.
    """

    cached: bool
    inputs: dict[str, metadata_store_pb2.Artifact] = field(default_factory=dict)
    outputs: dict[str, metadata_store_pb2.Artifact] = field(default_factory=dict)


def baseline_version(stages: Mapping[str, StageRecord]) -> int | None:
    """The version in production that the candidate of a run was compared with; None if there was none."""
    properties = stages[BASELINE_MODEL].outputs["baseline_model"].custom_properties
    return None if properties[ABSENT].int_value else properties[VERSION].int_value


def read_stage(
    connection: metadata_store_pb2.ConnectionConfig, pipeline_name: str, run_id: str, stage: str
) -> StageRecord:
    """Reads the record of one stage.

    Raises:
      LookupError: if the run has no finished execution of this stage.
    """
    store = metadata_store.MetadataStore(connection)
    run = store.get_context_by_type_and_name(_RUN, run_id)
    node = store.get_context_by_type_and_name("node", f"{pipeline_name}.{stage}")
    if run is None or node is None:
        raise LookupError(f"run {run_id} of {pipeline_name} has no stage {stage}")
    of_run = {execution.id for execution in store.get_executions_by_context(run.id)}
    for execution in store.get_executions_by_context(node.id):
        if execution.id in of_run and execution.last_known_state in _DONE:
            return _record(store, execution)
    raise LookupError(f"stage {stage} of run {run_id} has not finished")


def read_runs(database: Path, pipeline_name: str) -> list[tuple[datetime.datetime, dict[str, StageRecord]]]:
    """Reads every run of a pipeline; commands that only checked the data are left out.

    The order is that of ML Metadata's ids: clocks step, and run ids of earlier releases are local times.

    Args:
      database: SQLite file of the ML Metadata store.
      pipeline_name: whose runs.

    Returns:
      when the run started, in UTC, and stage id to record of the stages that finished, in the order they did; the
      oldest run first.
    """
    connection = metadata_store_pb2.ConnectionConfig()
    connection.sqlite.filename_uri = str(database)
    connection.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READONLY
    store = metadata_store.MetadataStore(connection)
    runs = []
    for run in sorted(store.get_contexts_by_type(_RUN), key=lambda context: context.id):
        if run.name.startswith(CHECK_PREFIX):
            continue
        executions = sorted(store.get_executions_by_context(run.id), key=lambda execution: execution.id)
        stages = {
            _stage(store, execution, pipeline_name): _record(store, execution)
            for execution in executions
            if execution.last_known_state in _DONE
        }
        started = datetime.datetime.fromtimestamp(run.create_time_since_epoch / 1000, datetime.UTC)
        runs.append((started, stages))
    return runs


def _stage(store: metadata_store.MetadataStore, execution: metadata_store_pb2.Execution, pipeline_name: str) -> str:
    """The stage's id: its context is named `pipeline.stage`."""
    names = [context.name for context in store.get_contexts_by_execution(execution.id)]
    prefix = f"{pipeline_name}."
    return next(name.removeprefix(prefix) for name in names if name.startswith(prefix))


def _record(store: metadata_store.MetadataStore, execution: metadata_store_pb2.Execution) -> StageRecord:
    cached = execution.last_known_state == metadata_store_pb2.Execution.CACHED
    return StageRecord(cached, *_artifacts(store, execution.id))


def _artifacts(
    store: metadata_store.MetadataStore, execution_id: int
) -> tuple[dict[str, metadata_store_pb2.Artifact], dict[str, metadata_store_pb2.Artifact]]:
    inputs: dict[str, metadata_store_pb2.Artifact] = {}
    outputs: dict[str, metadata_store_pb2.Artifact] = {}
    for event in store.get_events_by_execution_ids([execution_id]):
        side = outputs if event.type == metadata_store_pb2.Event.OUTPUT else inputs
        (artifact,) = store.get_artifacts_by_id([event.artifact_id])
        side[event.path.steps[0].key] = artifact
    return inputs, outputs
