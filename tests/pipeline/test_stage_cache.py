"""The cache of a run: what counts in its keys, and which results it does not give."""

import json
import logging
import shutil

import pytest
from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata
from tfx.orchestration.portable import execution_publish_utils
from tfx.proto.orchestration import pipeline_pb2
from tfx.types import standard_artifacts

from components import artifact_files
from pipeline import run_metadata
from pipeline.stage_cache import StageCache


class Stage:
    """Records executions of one stage in an ML Metadata store, as TFX's launcher does."""

    def __init__(self, folder, locations):
        self.folder, self.locations = folder, locations
        self.connection = metadata.sqlite_metadata_connection_config(str(folder / "metadata.sqlite"))
        self.node = pipeline_pb2.PipelineNode()
        self.node.node_info.id = "Transform"
        self.node.node_info.type.name = "Transform"

    def cache(self):
        return StageCache(self.locations)

    def key(self, cache, handle, inputs=(), **parameters):
        return cache.get_cache_context(
            handle,
            self.node,
            pipeline_pb2.PipelineInfo(id="fruit"),
            input_artifacts={"examples": list(inputs)},
            parameters=parameters,
        )

    def run(self, content, inputs=(), kind=standard_artifacts.Model, properties=(), **parameters):
        """A finished execution with one output; returns the artifact."""
        with metadata.Metadata(self.connection) as handle:
            key = self.key(self.cache(), handle, inputs, **parameters)
            execution = execution_publish_utils.register_execution(handle, self.node.node_info.type, [key])
            artifact = kind()
            artifact.uri = str(self.folder / "artifacts" / "Transform" / "model" / str(execution.id))
            written = self.folder / "artifacts" / "Transform" / "model" / str(execution.id)
            written.mkdir(parents=True)
            (written / "saved_model.pb").write_text(content)
            for name, value in dict(properties).items():
                artifact.mlmd_artifact.custom_properties[name].CopyFrom(value)
            artifact.set_string_custom_property(artifact_files.PROPERTY, artifact_files.record(written))
            execution_publish_utils.publish_succeeded_execution(handle, execution.id, [key], {"model": [artifact]})
        return artifact

    def cached(self, inputs=(), **parameters):
        """The path of the cached output; None: the stage would run."""
        with metadata.Metadata(self.connection) as handle:
            cache = self.cache()
            found = cache.get_cached_outputs(handle, self.key(cache, handle, inputs, **parameters))
        return found["model"][0].uri if found else None


@pytest.fixture
def stage(tmp_path):
    folder = tmp_path / "fruit"
    folder.mkdir()
    return Stage(folder, {str(tmp_path / "photos"): "<data.path>", str(folder): "<run folder>"})


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, "regraft")
    return lambda: [record.getMessage() for record in caplog.records if record.name.startswith("regraft")]


def test_an_intact_result_is_used(stage, lines):
    made = stage.run("x", data_path="a")
    assert stage.cached(data_path="a") == made.uri
    assert stage.cached(data_path="b") is None
    assert lines() == []


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: shutil.rmtree(folder), "1 file is missing (saved_model.pb)"),
        (lambda folder: (folder / "saved_model.pb").write_text("y"), "1 file has changed (saved_model.pb)"),
    ],
)
def test_a_damaged_result_is_said_once_and_passed_over_for_good(stage, lines, spoil, words):
    older, newer = stage.run("x"), stage.run("x")
    spoil(stage.folder / "artifacts/Transform/model" / newer.uri.rpartition("/")[2])
    assert stage.cached() == older.uri, "an older result of the same key is intact"
    assert lines() == []
    spoil(stage.folder / "artifacts/Transform/model" / older.uri.rpartition("/")[2])
    assert stage.cached() is None
    assert lines() == [f"Transform: the cached result is damaged ({words}); the stage runs again"]
    assert stage.cached() is None
    assert len(lines()) == 1
    again = stage.run("x")
    assert stage.cached() == again.uri


def test_a_result_without_a_record_is_not_used(stage, lines):
    made = stage.run("x")
    with metadata.Metadata(stage.connection) as handle:
        (stored,) = handle.store.get_artifacts_by_uri(made.uri)
        del stored.custom_properties[artifact_files.PROPERTY]
        handle.store.put_artifacts([stored])
    assert stage.cached() is None
    assert "there is no record of its files" in lines()[0]


def test_an_input_counts_by_its_content_and_not_by_where_or_when_it_was_written(stage):
    one, same, other = stage.run("x", n=1), stage.run("x", n=2), stage.run("y", n=3)
    made = stage.run("z", [one])
    assert stage.cached([same]) == made.uri
    assert stage.cached([other]) is None
    same.set_int_custom_property("version", 2)
    assert stage.cached([same]) is None, "properties count, as that of a baseline's version"


def test_paths_count_by_their_field(tmp_path, stage):
    def parameters(photos, folder):
        config = json.dumps({"state_directory": f"{folder}/training", "classifier": json.dumps({"path": photos})})
        return {"data_path": photos, "custom_config": config, "other": "/photos"}

    made = stage.run("x", **parameters(str(tmp_path / "photos"), str(stage.folder)))
    moved = Stage(stage.folder, {"/new/photos": "<data.path>", "/new/fruit": "<run folder>"})
    assert moved.cached(**parameters("/new/photos", "/new/fruit")) == made.uri
    assert moved.cached(**parameters("/new/photos-2", "/new/fruit")) is None
    assert moved.cached(**{**parameters("/new/photos", "/new/fruit"), "other": "/pictures"}) is None


def test_a_pushed_version_that_is_gone_is_pushed_again(stage, tmp_path, lines):
    """As in an older copy of the push directory, whose next version has the same number."""
    pushed = {
        "pushed": metadata_store_pb2.Value(int_value=1),
        "pushed_version": metadata_store_pb2.Value(string_value="2"),
    }
    directory = str(tmp_path / "serving")
    (tmp_path / "serving" / "2").mkdir(parents=True)
    made = stage.run("x", kind=standard_artifacts.PushedModel, properties=pushed, directory=directory)
    assert stage.cached(directory=directory) == made.uri
    (tmp_path / "serving" / "2").rmdir()
    assert stage.cached(directory=directory) is None
    assert "version 2 is missing" in lines()[0]


def test_a_workspace_that_was_moved_keeps_its_results(stage, tmp_path):
    made = stage.run("x")
    used = stage.run("y", [made])
    assert run_metadata.relocate(stage.connection, str(stage.folder / "artifacts")) == 0
    moved = Stage(stage.folder.rename(tmp_path / "elsewhere"), {})
    assert run_metadata.relocate(moved.connection, str(moved.folder / "artifacts")) == 2
    expected = used.uri.replace("fruit", "elsewhere")
    made.uri = made.uri.replace("fruit", "elsewhere")
    assert moved.cached([made]) == expected
    assert run_metadata.relocate(moved.connection, str(moved.folder / "artifacts")) == 0
