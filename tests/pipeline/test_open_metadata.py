"""`history`, `explain` and `clean`: a locked or damaged database, a renamed or copied folder, runs that ended early.

Each is called as the command, which turns errors into messages and exit codes.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import sqlite3
import subprocess
import sys

import pytest
from click.testing import CliRunner
from locking import locked
from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as pb

from pipeline import open_metadata, unfinished
from pipeline.run_metadata import Stop
from pipeline.workspace import RunFolder
from regraft import commands

COMMANDS = (["history"], ["explain"], ["clean", "--dry-run"], ["clean"])
each_command = pytest.mark.parametrize("command", COMMANDS, ids=" ".join)


class Runs:
    """A workspace with runs, as TFX records them."""

    def __init__(self, workspace):
        self.folder = RunFolder(workspace, "fruit")
        self.folder.path.mkdir(parents=True)
        self.store = metadata_store.MetadataStore(self.folder.connection())
        self.types = {
            name: self.store.put_context_type(pb.ContextType(name=name))
            for name in ("pipeline", "pipeline_run", "node")
        }
        self.execution_type = self.store.put_execution_type(pb.ExecutionType(name="stage"))
        self.count = 0

    def run(self, **stages: int) -> None:
        """A run with these states, by stage; every execution has one artifact."""
        self.count += 1
        for stage, state in stages.items():
            names = {"pipeline": "fruit", "pipeline_run": f"run {self.count}", "node": f"fruit.{stage}"}
            contexts = [pb.Context(type_id=self.types[kind], name=name) for kind, name in names.items()]
            execution = pb.Execution(type_id=self.execution_type, last_known_state=state)
            path = self.folder.artifacts / stage / "output" / str(self.count)
            path.mkdir(parents=True)
            (path / "file").write_bytes(b"x" * 1000)
            kind = self.store.put_artifact_type(pb.ArtifactType(name="Model"))
            artifact = pb.Artifact(type_id=kind, uri=str(path), state=pb.Artifact.LIVE)
            event = pb.Event(type=pb.Event.OUTPUT)
            event.path.steps.add().key = "output"
            self.store.put_execution(execution, [(artifact, event)], contexts, reuse_context_if_already_exist=True)


@pytest.fixture
def runs(tmp_path):
    return Runs(tmp_path / "workspace")


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    made = Runs(tmp_path_factory.mktemp("original"))
    for _ in range(5):
        made.run(Transform=pb.Execution.COMPLETE, Trainer=pb.Execution.FAILED)
    return made.folder.path


@pytest.fixture
def folder(original, tmp_path):
    """Five runs, whose database has no connection of this process."""
    shutil.copytree(original, tmp_path / "workspace" / "fruit")
    return RunFolder(tmp_path / "workspace", "fruit")


def call(command, folder):
    return CliRunner().invoke(commands.main, [command[0], str(folder), *command[1:]])


def content(folder):
    """Every file below a folder, with its bytes."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def overwrite_header(database):
    with database.open("r+b") as file:
        file.write(b"\xff" * 100)


def overwrite_pages(database):
    with database.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 100_000)


def truncate(database):
    with database.open("r+b") as file:
        file.truncate(50_000)


def empty(database):
    database.write_bytes(b"")


def other_tables(database):
    database.unlink()
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE notes(text)")


@each_command
@pytest.mark.parametrize("damage", [overwrite_header, overwrite_pages, truncate, empty, other_tables])
def test_a_damaged_database_is_refused_with_advice_and_nothing_is_removed(folder, damage, command):
    damage(folder.metadata)
    before = content(folder.path)
    result = call(command, folder.path)
    assert result.exit_code == 2, result.output
    expected = r"^\S+/metadata\.sqlite: .+; restore it from a backup, or delete it: .+ pushed versions stay\n$"
    assert re.fullmatch(expected, result.output)
    assert {path: data for path, data in content(folder.path).items() if path.name != ".lock"} == before


@pytest.mark.parametrize("command", COMMANDS[2:], ids=" ".join)
@pytest.mark.parametrize("what", ["artifacts/Trainer/model/3", "serving/2"])
def test_clean_refuses_a_database_that_records_no_run_beside_artifacts_or_versions(runs, what, command):
    (runs.folder.path / what).mkdir(parents=True)
    (runs.folder.path / what / "file").write_text("precious")
    result = call(command, runs.folder.path)
    assert result.exit_code == 2
    assert f"metadata.sqlite: it records no run, but there are {what.split('/')[0].replace('serving', 'versions')}" in (
        result.output
    )
    assert (runs.folder.path / what / "file").read_text() == "precious"


def test_a_dry_run_of_clean_changes_no_file(folder):
    (folder.path / ".summary.json.tmp").write_text("left by a killed run")
    before = content(folder.path)
    result = call(["clean", "--dry-run"], folder.path)
    assert "would be removed: 4 folders, 4.0 KB" in result.output
    assert content(folder.path) == before
    folder.metadata.chmod(0o400)
    assert call(["clean", "--dry-run"], folder.path).output == result.output


@each_command
def test_a_locked_database_is_waited_for_with_the_name_of_the_program(folder, command, monkeypatch):
    monkeypatch.setattr(open_metadata, "_GRACE_SECONDS", 0.0)
    monkeypatch.setattr(open_metadata, "PATIENCE_SECONDS", 0.3)
    with locked(folder.metadata) as other:
        result = call(command, folder.path)
    assert result.exit_code == 1
    waiting, gave_up = result.output.splitlines()
    program = rf"\S+/metadata\.sqlite: locked by .+ \(process {other.pid}\)"
    assert re.fullmatch(rf"waiting: {program}; close it", waiting)
    assert re.fullmatch(rf"{program} for 0\.3 seconds; close it, and run the same command again", gave_up)


def test_a_program_that_only_reads_does_not_stop_history(folder):
    with locked(folder.metadata, "BEGIN"):
        assert call(["history"], folder.path).exit_code == 0


def test_an_error_of_the_store_becomes_a_sentence(folder):
    with contextlib.closing(sqlite3.connect(folder.metadata)) as connection:
        connection.execute("DROP TABLE Event")
    result = call(["history"], folder.path)
    assert result.exit_code == 1
    assert "metadata.sqlite: the database is damaged; restore it from a backup" in result.output


@each_command
def test_what_a_killed_program_had_half_written_is_undone(folder, command):
    before = call(["history"], folder.path).output
    program = (
        "import os, sqlite3, sys; connection = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "connection.execute('PRAGMA cache_size = 1'); connection.execute('BEGIN IMMEDIATE');"
        "connection.execute('DELETE FROM Context'); connection.execute('CREATE TABLE big(x)');"
        "connection.execute('INSERT INTO big VALUES (zeroblob(1000000))'); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", program, str(folder.metadata)], check=True)
    assert folder.metadata.with_name("metadata.sqlite-journal").stat().st_size
    assert call(command, folder.path).exit_code == (2 if command[0] == "explain" else 0)
    assert call(["history"], folder.path).output == before


@pytest.mark.parametrize("how", ["renamed", "link", "copy"])
def test_the_folder_may_have_another_name_than_the_pipeline(folder, tmp_path, how):
    before, other = folder.path, tmp_path / "another"
    expected = [call(command, before).output for command in COMMANDS[:3]]
    assert "would be removed: 4 folders" in expected[2]
    if how == "renamed":
        before.rename(other)
    elif how == "link":
        other.symlink_to(before)
    else:
        shutil.copytree(before, other)
    assert [call(command, other).output for command in COMMANDS[:3]] == expected
    assert "removed: 4 folders" in call(["clean"], other).output


def test_history_tells_failed_interrupted_and_killed_runs_apart(runs):
    state, connection = pb.Execution, runs.folder.connection()
    runs.run(Transform=state.COMPLETE, Trainer=state.FAILED)
    runs.run(Transform=state.CACHED, Trainer=state.RUNNING)
    unfinished.close_executions(connection, runs.folder.artifacts, Stop.INTERRUPTED)
    runs.run(Transform=state.CACHED, Evaluator=state.RUNNING)
    unfinished.close_executions(connection, runs.folder.artifacts)
    runs.run(Transform=state.FAILED)
    unfinished.close_executions(connection, runs.folder.artifacts, Stop.INTERRUPTED, "run 4")
    runs.run(Transform=state.COMPLETE)
    runs.run(Transform=state.COMPLETE)
    unfinished.close_executions(connection, runs.folder.artifacts, Stop.INTERRUPTED, "run 6")
    runs.run(Transform=state.CACHED, Pusher=state.RUNNING)
    unfinished.close_executions(connection, runs.folder.artifacts, Stop.FAILED)
    runs.run(Transform=state.CACHED, Trainer=state.RUNNING)
    outcomes = ["failed in Trainer", "interrupted in Trainer", "killed in Evaluator", "interrupted in Transform"]
    outcomes += ["ended after Transform", "interrupted after Transform", "failed in Pusher"]

    def listed():
        lines = call(["history"], runs.folder.path).output.splitlines()
        return [re.split(r"  +", line.strip())[-1] for line in lines if re.match(r" +\d", line)]

    assert listed() == [*outcomes, "killed in Trainer"]
    with runs.folder.locked():
        assert listed() == [*outcomes, "running, after Transform"]
    assert "run 2 has no verdict: interrupted in Trainer" in call(["explain", "--run", "2"], runs.folder.path).output
