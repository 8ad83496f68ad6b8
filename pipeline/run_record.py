"""What ML Metadata recorded of one run: each stage's outputs, and whether they came from the cache."""

from __future__ import annotations

from dataclasses import dataclass, field

from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2


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


def read_stage(
    connection: metadata_store_pb2.ConnectionConfig, pipeline_name: str, run_id: str, stage: str
) -> StageRecord:
    """Reads the record of one stage.

    Raises:
      LookupError: if the run has no finished execution of this stage.
    """
    store = metadata_store.MetadataStore(connection)
    run = store.get_context_by_type_and_name("pipeline_run", run_id)
    node = store.get_context_by_type_and_name("node", f"{pipeline_name}.{stage}")
    if run is None or node is None:
        raise LookupError(f"run {run_id} of {pipeline_name} has no stage {stage}")
    of_run = {execution.id for execution in store.get_executions_by_context(run.id)}
    for execution in store.get_executions_by_context(node.id):
        done = execution.last_known_state in (
            metadata_store_pb2.Execution.COMPLETE,
            metadata_store_pb2.Execution.CACHED,
        )
        if execution.id in of_run and done:
            cached = execution.last_known_state == metadata_store_pb2.Execution.CACHED
            return StageRecord(cached, *_artifacts(store, execution.id))
    raise LookupError(f"stage {stage} of run {run_id} has not finished")


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
