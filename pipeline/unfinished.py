"""Closes the executions of a run that did not come to its end; without this they would seem to run for ever."""

from __future__ import annotations

import shutil
from pathlib import Path

from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2

from pipeline import run_metadata
from pipeline.run_metadata import Stop

Execution = metadata_store_pb2.Execution


def close_executions(
    connection: metadata_store_pb2.ConnectionConfig,
    artifacts: Path,
    stop: Stop = Stop.KILLED,
    interrupted_run: str | None = None,
) -> list[int]:
    """Gives executions that have not ended a final state, and deletes their files.

    Call it only while no stage of the pipeline runs.

    Args:
      connection: of the pipeline's ML Metadata store.
      artifacts: the folder of its artifacts, `<stage>/<output>/<execution>`.
      stop: how the run ended. The state is CANCELED after an interruption, and FAILED otherwise.
      interrupted_run: id of the run that a signal ended; this is recorded of it, because the signal may arrive between
        two stages. Its failed execution gets the state, too: a signal may reach TFX as an error.

    Returns:
      the executions' ids.
    """
    store = metadata_store.MetadataStore(connection)
    unfinished = [
        execution
        for execution in store.get_executions()
        if execution.last_known_state in (Execution.NEW, Execution.RUNNING)
    ]
    run = store.get_context_by_type_and_name(run_metadata.RUN, interrupted_run) if interrupted_run else None
    if run is not None:
        run.custom_properties[run_metadata.STOPPED].string_value = Stop.INTERRUPTED
        store.put_contexts([run])
        of_run = store.get_executions_by_context(run.id)
        unfinished += [execution for execution in of_run if execution.last_known_state == Execution.FAILED]
    for execution in unfinished:
        execution.last_known_state = Execution.CANCELED if stop == Stop.INTERRUPTED else Execution.FAILED
        if stop == Stop.KILLED:
            execution.custom_properties[run_metadata.KILLED].int_value = 1
        for folder in artifacts.glob(f"*/*/{execution.id}"):
            shutil.rmtree(folder, ignore_errors=True)
        for folder in artifacts.glob(f"*/.system/*/{execution.id}"):
            shutil.rmtree(folder, ignore_errors=True)
    if unfinished:
        store.put_executions(unfinished)
    return [execution.id for execution in unfinished]
