"""What is around an executor on this machine."""

import os
import types

import pytest
from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata
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


def test_an_input_with_other_bytes_explains_a_failure_and_leaves_the_cache(tmp_path, monkeypatch):
    """A failing disk changes neither size nor time."""
    shard = tmp_path / "data-00000-of-00001.gz"
    shard.write_bytes(b"good")
    artifact = standard_artifacts.Examples()
    artifact.uri = str(tmp_path)
    artifact.set_string_custom_property(artifact_files.PROPERTY, artifact_files.record(tmp_path))
    status = shard.stat()

    def execute(self, info):
        raise ValueError("corrupted record")

    monkeypatch.setattr(launcher.Launcher, "_run_executor", execute)
    stage = StageLauncher.__new__(StageLauncher)
    stage._mlmd_connection = metadata.Metadata(metadata.sqlite_metadata_connection_config(str(tmp_path / ".db")))
    info = types.SimpleNamespace(input_dict={"examples": [artifact]}, output_dict={})
    with pytest.raises(ValueError, match="corrupted record"):
        stage._run_executor(info)
    with stage._mlmd_connection as handle:
        artifact_type = metadata_store_pb2.ArtifactType(name="Examples")
        artifact.mlmd_artifact.type_id = handle.store.put_artifact_type(artifact_type, can_add_fields=True)
        artifact.mlmd_artifact.ClearField("properties")
        (artifact.mlmd_artifact.id,) = handle.store.put_artifacts([artifact.mlmd_artifact])
    shard.write_bytes(b"evil")
    os.utime(shard, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(artifact_files.DamagedArtifactError, match=r"^examples: 1 file has changed .* failing disk; "):
        stage._run_executor(info)
    with stage._mlmd_connection as handle:
        (stored,) = handle.store.get_artifacts()
    assert stored.state == metadata_store_pb2.Artifact.DELETED
