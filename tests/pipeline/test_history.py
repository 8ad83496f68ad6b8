"""What `regraft history` says about the version that a run pushed."""

from __future__ import annotations

import datetime
import io
import json
from pathlib import Path

import pytest
from ml_metadata.proto import metadata_store_pb2 as pb

from components import state_driver
from components.serving_directory import ServingDirectory
from config.stages import PUSHER
from pipeline import history
from pipeline.run_metadata import RunRecord, StageRecord
from pipeline.workspace import RunFolder


@pytest.fixture
def directory(tmp_path) -> ServingDirectory:
    """Versions 1 and 2, of which the second is rolled back."""
    directory = ServingDirectory(tmp_path / "served")
    for name in "ab":
        model = tmp_path / name
        model.mkdir()
        (model / "saved_model.pb").write_text(name)
        directory.push(model, {})
    directory.roll_back()
    return directory


def shown(directory: ServingDirectory, version: int, identity: str | None = None, cached: bool = False) -> str:
    """The outcome of a run that pushed this version."""
    artifact = pb.Artifact()
    artifact.custom_properties["pushed"].int_value = 1
    artifact.custom_properties["pushed_version"].string_value = str(version)
    config = json.dumps({"push": {"directory": str(directory.path)}})
    values = {"config": config, state_driver.STATE: f"{identity or directory.identity()} {version} rolled back: None"}
    parameters = {name: pb.Value(string_value=value) for name, value in values.items()}
    stage = StageRecord(cached, outputs={"pushed_model": artifact}, parameters=parameters)
    run = RunRecord("1", datetime.datetime.now(datetime.UTC), {PUSHER: stage})
    since = history._since_push(run, RunFolder(directory.path.parent, "x"))
    past = history.PastRun(1, run.started, None, None, None, history._outcome(run, None, False), since=since)
    terminal = io.StringIO()
    history.print_history([past], terminal)
    return terminal.getvalue().splitlines()[-2].partition("–")[2].strip(" –")


def test_a_version_that_was_rolled_back_or_restored_is_told(directory):
    assert shown(directory, 1) == "pushed as version 1; restored as version 3"
    assert shown(directory, 2) == "pushed as version 2; rolled back"


def test_nothing_is_told_of_another_folder_or_of_a_run_that_pushed_nothing(directory):
    assert shown(directory, 2, identity="that of a folder which was deleted") == "pushed as version 2"
    assert shown(directory, 2, cached=True) == "already version 2"
    Path(directory.path, ".regraft.json").write_text("damaged")
    assert shown(directory, 2, identity="any") == "pushed as version 2"
