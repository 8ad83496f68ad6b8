"""What ML Metadata recorded of a run: the outputs of each stage, and whether they came from the cache."""

from __future__ import annotations

import datetime
import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2

from components.baseline_model.properties import ABSENT, VERSION
from config.stages import BASELINE_MODEL
from pipeline.workspace import ARTIFACTS

CHECK_PREFIX = "check "  # at the start of the run id, if only the data was checked
RUN = "pipeline_run"
STOPPED = "stopped"  # custom property of a run: a Stop, if it is known of the run as a whole
KILLED = "killed"  # custom property of an execution that a later run found unfinished
_PIPELINE, _NODE = "pipeline", "node"  # types of contexts
_DONE = (metadata_store_pb2.Execution.COMPLETE, metadata_store_pb2.Execution.CACHED)


@dataclass(frozen=True)
class StageRecord:
    """One stage of one run.

    Attributes:
      cached: whether the outputs are those of an earlier run.
      inputs, outputs: artifacts by the name of the channel.
      parameters: of the execution, by name.
      seconds: wall-clock time of the execution.
    """

    cached: bool
    inputs: dict[str, metadata_store_pb2.Artifact] = field(default_factory=dict)
    outputs: dict[str, metadata_store_pb2.Artifact] = field(default_factory=dict)
    parameters: Mapping[str, metadata_store_pb2.Value] = field(default_factory=dict)
    seconds: float = 0.0


class Stop(enum.StrEnum):
    """Why a stage has no result, in words."""

    FAILED = "failed"
    INTERRUPTED = "interrupted"  # by a signal
    KILLED = "killed"  # nothing was recorded at its end


@dataclass(frozen=True)
class RunRecord:
    """One run.

    Attributes:
      id: as ML Metadata has it.
      started: in UTC.
      stages: id to record of the stages that finished, in the order they did.
      stopped: the stage that did not finish after these, if one had begun, and why; None if nothing is known.
    """

    id: str
    started: datetime.datetime
    stages: dict[str, StageRecord]
    stopped: tuple[str | None, Stop] | None = None


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
    run = store.get_context_by_type_and_name(RUN, run_id)
    node = store.get_context_by_type_and_name(_NODE, f"{pipeline_name}.{stage}")
    if run is None or node is None:
        raise LookupError(f"run {run_id} of {pipeline_name} has no stage {stage}")
    of_run = {execution.id for execution in store.get_executions_by_context(run.id)}
    for execution in store.get_executions_by_context(node.id):
        if execution.id in of_run and execution.last_known_state in _DONE:
            return _record(store, execution)
    raise LookupError(f"stage {stage} of run {run_id} has not finished")


def read_runs(store: metadata_store.MetadataStore, artifacts: str) -> list[RunRecord]:
    """Reads every run; commands that only checked the data are left out.

    The order is that of ML Metadata's ids: clocks step, and run ids of earlier releases are local times.

    Args:
      store: the pipeline's.
      artifacts: the folder of all artifacts now; the recorded paths may be those of another place.

    Returns:
      one record per run, the oldest first.
    """
    contexts = sorted(store.get_contexts_by_type(RUN), key=lambda context: context.id)
    return [_read_run(store, run, artifacts) for run in contexts if not run.name.startswith(CHECK_PREFIX)]


def _read_run(store: metadata_store.MetadataStore, run: metadata_store_pb2.Context, artifacts: str) -> RunRecord:
    stages: dict[str, StageRecord] = {}
    stopped: tuple[str | None, Stop] | None = None
    for execution in sorted(store.get_executions_by_context(run.id), key=lambda execution: execution.id):
        name = _stage(store, execution)
        if execution.last_known_state in _DONE:
            stages[name], stopped = _record(store, execution, artifacts), None
        else:
            stopped = name, _stop(execution)
    if of_run := run.custom_properties[STOPPED].string_value:
        stopped = stopped[0] if stopped else None, Stop(of_run)
    started = datetime.datetime.fromtimestamp(run.create_time_since_epoch / 1000, datetime.UTC)
    return RunRecord(run.name, started, stages, stopped)


def _stop(execution: metadata_store_pb2.Execution) -> Stop:
    """Why an execution has no result; one that seems to run was killed, unless the run is active."""
    if execution.last_known_state == metadata_store_pb2.Execution.CANCELED:
        return Stop.INTERRUPTED
    is_closed = execution.last_known_state == metadata_store_pb2.Execution.FAILED
    return Stop.FAILED if is_closed and not execution.custom_properties[KILLED].int_value else Stop.KILLED


def relative_uri(uri: str) -> str:
    """The part of an artifact's path behind the folder of all artifacts: `<stage>/<output>/<execution>`."""
    return uri.rpartition(f"/{ARTIFACTS}/")[2]


def relocate(connection: metadata_store_pb2.ConnectionConfig, artifacts: str) -> int:
    """Corrects the recorded paths of all artifacts after the workspace was moved, or copied.

    Args:
      connection: of the ML Metadata store.
      artifacts: the folder of all artifacts now.

    Returns:
      how many paths were wrong.
    """
    store = metadata_store.MetadataStore(connection)
    moved = [artifact for artifact in store.get_artifacts() if artifact.uri != _uri_now(artifact.uri, artifacts)]
    for artifact in moved:
        artifact.uri = _uri_now(artifact.uri, artifacts)
    if moved:
        store.put_artifacts(moved)
    return len(moved)


def outputs_of(store: metadata_store.MetadataStore, execution_id: int) -> list[metadata_store_pb2.Artifact]:
    """The artifacts that an execution has written, or taken from the cache."""
    events = store.get_events_by_execution_ids([execution_id])
    return store.get_artifacts_by_id(
        [event.artifact_id for event in events if event.type == metadata_store_pb2.Event.OUTPUT]
    )


def mark_deleted(store: metadata_store.MetadataStore, artifacts: Iterable[metadata_store_pb2.Artifact]) -> None:
    """Tells ML Metadata that the files of artifacts are gone, so that TFX's cache does not use them."""
    deleted = list(artifacts)
    for artifact in deleted:
        artifact.state = metadata_store_pb2.Artifact.DELETED
    if deleted:
        store.put_artifacts(deleted)


def _uri_now(uri: str, artifacts: str) -> str:
    is_ours = f"/{ARTIFACTS}/" in uri
    return f"{artifacts}/{relative_uri(uri)}" if is_ours else uri


def _stage(store: metadata_store.MetadataStore, execution: metadata_store_pb2.Execution) -> str:
    """The stage's id: its context is named `pipeline.stage`. The folder may have been renamed, or copied."""
    names = {context.type: context.name for context in store.get_contexts_by_execution(execution.id)}
    return names[_NODE].removeprefix(f"{names[_PIPELINE]}.")


def _record(
    store: metadata_store.MetadataStore, execution: metadata_store_pb2.Execution, artifacts: str | None = None
) -> StageRecord:
    """What is recorded of an execution; with `artifacts`, the paths are those below this folder."""
    cached = execution.last_known_state == metadata_store_pb2.Execution.CACHED
    seconds = (execution.last_update_time_since_epoch - execution.create_time_since_epoch) / 1000
    record = StageRecord(cached, *_artifacts(store, execution.id), dict(execution.custom_properties), seconds)
    if artifacts is not None:
        for artifact in (*record.inputs.values(), *record.outputs.values()):
            artifact.uri = _uri_now(artifact.uri, artifacts)
    return record


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
