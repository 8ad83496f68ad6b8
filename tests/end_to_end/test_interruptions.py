"""Runs that are killed, at any moment, and started again."""

import contextlib
import re
import signal
import sqlite3
from pathlib import Path

import pytest
from ml_metadata.proto.metadata_store_pb2 import Execution

from pipeline import history

pytestmark = pytest.mark.slow

# The stage before: once its line is on the terminal, the stage to kill is under way. None: the first stage.
KILLED_IN = {
    "ImageExampleGen": None,
    "Transform": "ExampleValidator",
    "TrunkFeatures": "Transform ",
    "Trainer": "head epoch 2",
    "Evaluator": "BaselineModel",
    "ServingCheck": "Evaluator ",
    "Pusher": "ServingCheck",
}


def test_killed_in_stage_after_stage_the_next_run_goes_on_and_completes(workspace, colours):
    """One run after another is killed a stage later; each finds what the one before had finished."""
    training = {"head": {"epochs": 9, "learning_rate": 1e-3, "patience": 9}}
    config = workspace.configure(colours, name="killed", training=training)
    first_folder = workspace.path / "workspace" / "killed" / "artifacts" / "ImageExampleGen"
    shown = []
    for stage, sign in KILLED_IN.items():
        run = workspace.run_and_kill(config, lambda shown, sign=sign: sign in shown if sign else first_folder.exists())
        assert run.exit_code == -9, f"{stage}: {run.output}"
        shown.append(run.output)
        assert run.summary is None
        for version in run.versions:
            assert (run.folder / "serving" / version / "saved_model.pb").stat().st_size > 0
    done = workspace.run(config)
    assert done.exit_code == 0, done.output
    assert done.versions == ["1"]
    assert Execution.RUNNING not in states(done.folder)
    assert done.cached["TrunkFeatures"] and done.cached["Trainer"]
    trainer = list(KILLED_IN).index("Trainer")
    last_shown = max(map(int, re.findall(r"epoch (\d+)/", shown[trainer])))
    resumed = int(re.search(r"continuing after head epoch (\d+) of an unfinished run", shown[trainer + 1])[1])
    assert 1 <= resumed <= last_shown + 1, "epochs are saved before they are shown, the first one always"
    assert int(re.search(r"epoch (\d+)/", shown[trainer + 1])[1]) == resumed + 1, "no saved epoch is run again"


def states(folder: Path) -> set[int]:
    """The states of all executions in ML Metadata."""
    with contextlib.closing(sqlite3.connect(folder / "metadata.sqlite")) as connection:
        return {state for (state,) in connection.execute("SELECT last_known_state FROM Execution")}


def test_sigterm_ends_a_run_with_a_message_and_leaves_nothing_open(workspace, colours):
    """In Trainer, and in the process that ServingCheck starts."""
    config = workspace.configure(colours, name="terminated")
    for sign, outcomes in (
        ("head epoch 1", ["interrupted in Trainer"]),
        ("Evaluator ", ["interrupted after Evaluator", "interrupted in ServingCheck"]),
    ):
        run = workspace.run_and_kill(config, lambda shown, sign=sign: sign in shown, signal.SIGTERM)
        assert run.exit_code == 143, run.output
        assert run.output.splitlines()[-1].startswith("ended by SIGTERM; run the same command again: ")
        assert "failed" not in run.output
        assert history.past_runs(run.folder)[-1].outcome in outcomes
        assert Execution.CANCELED in states(run.folder) and Execution.RUNNING not in states(run.folder)
    assert run.versions == []


def test_two_runs_of_one_pipeline_do_not_get_into_each_others_way(workspace, colours):
    config = workspace.configure(colours, name="busy")
    process, terminal = workspace.start(config)
    while "loading TFX" not in (terminal.read_text() if terminal.exists() else ""):
        assert process.is_alive()
    second = workspace.run(config)
    process.kill()
    process.join()
    assert second.exit_code == 2
    assert "another run is using it" in second.output
