"""How a run that fails ends in ML Metadata."""

from __future__ import annotations

import pytest
from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as pb

from pipeline import run_metadata, stage_runner, unfinished
from pipeline.workspace import RunFolder


@pytest.fixture
def runner(tmp_path, monkeypatch) -> stage_runner.LocalRunner:
    """Its run fails as it does when TFX's driver of a stage fails: the execution is left open."""
    folder = RunFolder(tmp_path, "fruit")
    folder.path.mkdir()

    def fail(*_: object) -> None:
        store = metadata_store.MetadataStore(folder.connection())
        kind = store.put_execution_type(pb.ExecutionType(name="Pusher"))
        store.put_executions([pb.Execution(type_id=kind, last_known_state=pb.Execution.RUNNING)])
        raise stage_runner.StageFailedError("Pusher")

    monkeypatch.setattr(stage_runner.LocalRunner, "_run_stages", fail)
    return stage_runner.LocalRunner(folder, {}, on_start=lambda: None)


def test_a_stage_whose_driver_fails_has_failed_and_was_not_killed(runner, tmp_path):
    with pytest.raises(stage_runner.StageFailedError):
        runner.run_with_ir(pb.Context())
    store = metadata_store.MetadataStore(RunFolder(tmp_path, "fruit").connection())
    (execution,) = store.get_executions()
    assert execution.last_known_state == pb.Execution.FAILED
    assert run_metadata.KILLED not in execution.custom_properties


def test_the_error_of_the_stage_is_reported_if_the_execution_cannot_be_closed(runner, monkeypatch):
    def fail(*arguments: object) -> list[int]:
        if run_metadata.Stop.FAILED in arguments:
            raise OSError("the database is gone")
        return []

    monkeypatch.setattr(unfinished, "close_executions", fail)
    with pytest.raises(stage_runner.StageFailedError):
        runner.run_with_ir(pb.Context())
