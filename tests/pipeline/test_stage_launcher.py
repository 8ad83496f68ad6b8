"""What is around an executor on this machine."""

import types

import pytest
from tfx.orchestration.portable import launcher
from tfx.proto.orchestration import execution_result_pb2
from tfx.types import standard_artifacts

from components import artifact_files
from pipeline.stage_launcher import StageLauncher


def test_an_executor_starts_in_empty_folders_and_its_files_are_recorded(tmp_path, monkeypatch):
    """ML Metadata counts executions from 1 again if its database was deleted; old shards would be read as new ones."""
    artifact = standard_artifacts.Examples()
    artifact.uri = str(tmp_path / "1")
    (tmp_path / "1" / "Split-train").mkdir(parents=True)
    (tmp_path / "1" / "Split-train" / "data-00001-of-00002.gz").write_bytes(b"old")

    def execute(self, info):
        (tmp_path / "1").mkdir()
        (tmp_path / "1" / "data-00000-of-00001.gz").write_bytes(b"new")
        output = execution_result_pb2.ExecutorOutput()
        output.output_artifacts["examples"].artifacts.add().CopyFrom(artifact.mlmd_artifact)
        return output

    monkeypatch.setattr(launcher.Launcher, "_run_executor", execute)
    info = types.SimpleNamespace(input_dict={}, output_dict={"examples": [artifact]})
    output = StageLauncher._run_executor(StageLauncher.__new__(StageLauncher), info)
    (described,) = output.output_artifacts["examples"].artifacts
    recorded = described.custom_properties[artifact_files.PROPERTY].string_value
    assert recorded == artifact_files.record(tmp_path / "1")
    assert "data-00000-of-00001.gz" in recorded and "data-00001" not in recorded


def test_an_input_that_lost_files_during_the_run_stops_the_stage(tmp_path):
    artifact = standard_artifacts.Examples()
    artifact.uri = str(tmp_path)
    (tmp_path / "data-00000-of-00001.gz").write_bytes(b"x")
    artifact.set_string_custom_property(artifact_files.PROPERTY, artifact_files.record(tmp_path))
    (tmp_path / "data-00000-of-00001.gz").unlink()
    info = types.SimpleNamespace(input_dict={"examples": [artifact]}, output_dict={})
    with pytest.raises(artifact_files.DamagedArtifactError, match=r"^examples: 1 file is missing \(data-.*run again$"):
        StageLauncher._run_executor(StageLauncher.__new__(StageLauncher), info)
