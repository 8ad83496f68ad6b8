"""What a killed run left in ML Metadata and on the disk, and the order of runs."""

from __future__ import annotations

import datetime
import sys

import pytest
from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as pb

from pipeline import history, run_metadata, unfinished


@pytest.fixture
def connection(tmp_path) -> pb.ConnectionConfig:
    config = pb.ConnectionConfig()
    config.sqlite.filename_uri = str(tmp_path / "metadata.sqlite")
    config.sqlite.connection_mode = pb.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    return config


def test_executions_that_never_ended_are_closed_with_their_files(connection, tmp_path):
    store = metadata_store.MetadataStore(connection)
    kind = store.put_execution_type(pb.ExecutionType(name="Trainer"))
    states = [pb.Execution.COMPLETE, pb.Execution.RUNNING, pb.Execution.NEW, pb.Execution.CACHED]
    ids = store.put_executions([pb.Execution(type_id=kind, last_known_state=state) for state in states])
    for number in ids:
        (tmp_path / f"artifacts/Trainer/model/{number}/half").mkdir(parents=True)
        (tmp_path / f"artifacts/Trainer/.system/executor_execution/{number}").mkdir(parents=True)
    closed = unfinished.close_executions(connection, tmp_path / "artifacts")
    assert closed == ids[1:3]
    found = [execution.last_known_state for execution in store.get_executions_by_id(ids)]
    assert found == [pb.Execution.COMPLETE, pb.Execution.FAILED, pb.Execution.FAILED, pb.Execution.CACHED]
    for folder in ("model", ".system/executor_execution"):
        left = {path.name for path in (tmp_path / "artifacts/Trainer" / folder).iterdir()}
        assert left == {str(ids[0]), str(ids[3])}
    assert unfinished.close_executions(connection, tmp_path / "artifacts") == []


def test_runs_are_in_the_order_of_ml_metadatas_ids_and_shown_in_utc(connection, tmp_path, capsys):
    """The names are local times of an earlier release: the clock was set back, and the time zone changed."""
    store = metadata_store.MetadataStore(connection)
    kind = store.put_context_type(pb.ContextType(name="pipeline_run"))
    names = [
        "2026-11-26T20:00:00.5",
        "2026-11-26T09:00:00.5",
        "2026-11-26T08:59:00.5+00:00",
        "check 2026-11-26T08:59:30",
    ]
    before = datetime.datetime.now(datetime.UTC)
    ids = [store.put_contexts([pb.Context(type_id=kind, name=name)])[0] for name in names]
    assert ids == sorted(ids)
    created = [context.create_time_since_epoch for context in store.get_contexts_by_id(ids)]
    runs = run_metadata.read_runs(store, str(tmp_path / "artifacts"))
    assert [run.started.timestamp() * 1000 for run in runs] == pytest.approx(created[:3])
    past = history.past_runs(tmp_path)
    assert [run.number for run in past] == [1, 2, 3]
    assert abs((past[0].started - before).total_seconds()) < 60 and past[0].started.utcoffset() == datetime.timedelta(0)
    history.print_history(past, sys.stdout)
    printed = capsys.readouterr().out
    assert "started (UTC)" in printed and f"{past[0].started:%Y-%m-%d %H:%M:%S}" in printed
