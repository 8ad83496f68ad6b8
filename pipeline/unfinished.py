"""Closes the executions of a run that was interrupted or killed; without this they would seem to run for ever."""

from __future__ import annotations

import shutil
from pathlib import Path

from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2

Execution = metadata_store_pb2.Execution


def close_executions(
    connection: metadata_store_pb2.ConnectionConfig, artifacts: Path, state: int = Execution.FAILED
) -> list[int]:
    """Gives executions that have not ended a final state, and deletes their files.

    Call it only while no stage of the pipeline runs.

    Args:
      connection: of the pipeline's ML Metadata store.
      artifacts: the folder of its artifacts, `<stage>/<output>/<execution>`.
      state: CANCELED for a run that was interrupted, FAILED for one that was killed.

    Returns:
      the executions' ids.
    """
    store = metadata_store.MetadataStore(connection)
    unfinished = [
        execution
        for execution in store.get_executions()
        if execution.last_known_state in (Execution.NEW, Execution.RUNNING)
    ]
    for execution in unfinished:
        execution.last_known_state = state
        for folder in artifacts.glob(f"*/*/{execution.id}"):
            shutil.rmtree(folder, ignore_errors=True)
        for folder in artifacts.glob(f"*/.system/*/{execution.id}"):
            shutil.rmtree(folder, ignore_errors=True)
    if unfinished:
        store.put_executions(unfinished)
    return [execution.id for execution in unfinished]
