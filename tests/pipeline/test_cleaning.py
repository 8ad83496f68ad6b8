"""`regraft clean` removes what no recent run and no pushed version needs, and nothing else."""

import io

import pytest
from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd

from config.errors import BadInputError
from pipeline import cleaning
from pipeline.workspace import RunFolder

OUTPUTS = ("TrunkFeatures/features", "Trainer/model", "Evaluator/blessing", "Pusher/pushed_model")


class History:
    """Runs of a pipeline, as they are in ML Metadata and in the folder of artifacts."""

    def __init__(self, workspace):
        self.folder = RunFolder(workspace, "fruit")
        self.folder.path.mkdir(parents=True)
        connection = mlmd.ConnectionConfig()
        connection.sqlite.filename_uri = str(self.folder.metadata)
        connection.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
        self.store = metadata_store.MetadataStore(connection)
        self.run_type = self.store.put_context_type(mlmd.ContextType(name="pipeline_run"))
        self.stage_type = self.store.put_execution_type(mlmd.ExecutionType(name="stage"))
        self.runs = 0

    def run(self, version: int | None = None, uses: tuple[int, ...] = (), name: str = "") -> list[int]:
        """A run with one new artifact of 1000 bytes per output, which perhaps takes some from the cache."""
        self.runs += 1
        context = mlmd.Context(type_id=self.run_type, name=name or f"2026-11-2{self.runs}")
        artifacts = []
        for output in OUTPUTS:
            path = self.folder.artifacts / output / str(self.runs)
            path.mkdir(parents=True)
            (path / "file").write_bytes(b"x" * 1000)
            kind = "PushedModel" if output.startswith("Pusher") else "Model"
            artifact = mlmd.Artifact(
                type_id=self.store.put_artifact_type(mlmd.ArtifactType(name=kind)),
                uri=str(path),
                state=mlmd.Artifact.LIVE,
            )
            if kind == "PushedModel" and version:
                artifact.custom_properties["pushed"].int_value = 1
                artifact.custom_properties["pushed_version"].string_value = str(version)
                artifact.custom_properties["pushed_destination"].string_value = "/before/it/was/moved"
                (self.folder.serving / str(version)).mkdir(parents=True)
            artifacts.append(artifact)
        execution = mlmd.Execution(type_id=self.stage_type, last_known_state=mlmd.Execution.COMPLETE)
        written = [(artifact, mlmd.Event(type=mlmd.Event.OUTPUT)) for artifact in artifacts]
        cached = [(one, mlmd.Event(type=mlmd.Event.OUTPUT)) for one in self.store.get_artifacts_by_id(list(uses))]
        _, ids, _ = self.store.put_execution(execution, [*written, *cached], [context])
        return ids[: len(OUTPUTS)]

    @property
    def files(self) -> set[str]:
        root = self.folder.artifacts
        return {path.parent.relative_to(root).as_posix() for path in root.rglob("file")}

    @property
    def live(self) -> set[str]:
        return {
            artifact.uri.rpartition("/artifacts/")[2]
            for artifact in self.store.get_artifacts()
            if artifact.state == mlmd.Artifact.LIVE
        }

    def clean(self, keep_runs: int = 1, is_dry_run: bool = False) -> str:
        terminal = io.StringIO()
        cleaning.clean(self.folder.path, keep_runs, is_dry_run, terminal)
        return terminal.getvalue()


def of_run(number: int) -> set[str]:
    return {f"{output}/{number}" for output in OUTPUTS}


@pytest.fixture
def history(tmp_path):
    return History(tmp_path / "workspace")


def test_the_last_runs_the_versions_and_all_verdicts_stay(history):
    history.run(version=1)
    history.run()
    history.run()
    kept = {"Trainer/model/1", "Evaluator/blessing/1", "Pusher/pushed_model/1", "Evaluator/blessing/2", *of_run(3)}
    text = history.clean()
    assert history.files == history.live == kept
    assert "removed: 4 folders, 4.0 KB; the last run and the pushed versions need the rest" in text
    assert history.clean().startswith("nothing to remove: ")


def test_a_dry_run_says_the_same_and_removes_nothing(history):
    history.run()
    history.run()
    before = history.files
    text = history.clean(is_dry_run=True)
    assert history.files == history.live == before
    assert history.clean() == text.replace("would be removed", "removed")


def test_what_a_recent_run_took_from_the_cache_stays(history):
    features, *_ = history.run()
    history.run(uses=(features,))
    history.clean()
    assert {"TrunkFeatures/features/1", *of_run(2)} <= history.live
    assert "Trainer/model/1" not in history.files


def test_a_version_that_was_removed_from_the_folder_needs_nothing(history):
    history.run(version=1)
    history.run()
    (history.folder.serving / "1").rmdir()
    history.clean()
    assert history.files == {"Evaluator/blessing/1", *of_run(2)}


def test_checks_of_the_data_do_not_count_as_runs(history):
    history.run()
    history.run()
    history.run(name="check 2026-11-23")
    history.clean()
    assert history.files == {"Evaluator/blessing/1", *of_run(2), *of_run(3)}


def test_leftovers_of_killed_runs_are_removed(history):
    history.run()
    for left in ("Trainer/model/77", "Trainer/.system/executor_execution/77", "_candidates/abc.tmp"):
        path = history.folder.artifacts / left
        path.mkdir(parents=True)
        (path / "file").write_bytes(b"x" * 500)
    (history.folder.artifacts / "_schemas").mkdir()
    (history.folder.artifacts / "_schemas" / "file").write_text("kept")
    assert "removed: 3 folders, 1.5 KB" in history.clean()
    assert history.files == {"_schemas", *of_run(1)}


def test_it_waits_for_no_run_and_disturbs_none(history, tmp_path):
    history.run()
    history.run()
    before = history.files
    with history.folder.locked(), pytest.raises(BadInputError, match="another run is using it"):
        history.clean()
    assert history.files == before
    with pytest.raises(BadInputError, match="no runs here; name a folder"):
        cleaning.clean(tmp_path / "none", 1, False, io.StringIO())
    assert not (tmp_path / "none").exists()
