"""What a run on this machine refuses before it loads TFX, and what it keeps of a stage that fails."""

import io
import json
from pathlib import Path

import pytest
from drawing import colour_tree

from components.image_example_gen.quarantine import BadImagesError
from config import loading
from config.errors import ExitCode
from pipeline import local_runner
from pipeline.local_runner import Session
from pipeline.workspace import RunFolder


def rows_in(file: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture
def config(tmp_path):
    colour_tree(tmp_path / "photos", per_class=1)
    (tmp_path / "run.yaml").write_text("name: fruit\ndata: {path: photos}")
    return str(tmp_path / "run.yaml")


@pytest.fixture(params=["run", "check", "judge", "main"])
def start(request, config, tmp_path):
    """Starts one of the commands; returns its exit code."""
    workspace = str(tmp_path / "ws")
    return {
        "run": lambda: local_runner.run(config, workspace),
        "check": lambda: local_runner.check(config, workspace),
        "judge": lambda: local_runner.judge(config, workspace, str(tmp_path)),
        "main": lambda: local_runner.main(["--config", config, "--workspace", workspace]),  # for the tfx command
    }[request.param]


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda w: w.write_text("a file"), "the workspace cannot be used: "),
        (
            lambda w: ((w / "fruit").mkdir(parents=True), (w / "fruit/metadata.sqlite").write_text("junk")),
            "not a SQLite database; restore it from a backup, or delete it",
        ),
    ],
)
def test_a_workspace_that_cannot_be_used_is_named(tmp_path, start, capsys, prepare, message):
    prepare(tmp_path / "ws")
    assert start() == ExitCode.BAD_INPUT
    error = capsys.readouterr().err
    assert "fruit" in error and message in error and "Traceback" not in error


def test_a_data_folder_that_cannot_be_used_is_named_with_the_configuration(tmp_path, config, start, capsys):
    (tmp_path / "photos").rename(tmp_path / "gone")
    assert start() == ExitCode.BAD_INPUT
    assert capsys.readouterr().err.startswith(f"{config}: data.path: a folder with one subfolder per class is expected")
    assert not (tmp_path / "ws").exists()


@pytest.mark.parametrize("start", ["run", "check", "main"], indirect=True)
def test_a_push_directory_that_cannot_be_made_is_refused_before_the_first_stage(tmp_path, config, start, capsys):
    Path(config).write_text("name: fruit\ndata: {path: photos}\npush: {directory: /proc/x/models}")
    assert start() == ExitCode.BAD_INPUT
    reason = "the folder cannot be made (No such file or directory)"
    assert capsys.readouterr().err == f"{config}: push.directory: /proc/x/models: {reason}\n"
    assert not (tmp_path / "ws").exists()


def test_a_damaged_model_in_production_is_refused(tmp_path, config, start, capsys, monkeypatch):
    def damaged(self, version):
        raise local_runner.BadInputError(f"version {version} is damaged")

    monkeypatch.setattr("components.serving_directory.ServingDirectory.versions", lambda self: [1, 2])
    monkeypatch.setattr("components.serving_directory.ServingDirectory.check_in_production", damaged)
    assert start() == ExitCode.BAD_INPUT
    assert capsys.readouterr().err == "version 2 is damaged\n"


def test_the_environment_names_configuration_and_workspace(tmp_path, config, monkeypatch, capsys):
    (tmp_path / "ws").write_text("a file")
    monkeypatch.setenv("PIPELINE_CONFIG", config)
    monkeypatch.setenv("PIPELINE_WORKSPACE", str(tmp_path / "ws"))
    assert local_runner.main([]) == ExitCode.BAD_INPUT
    assert f"{tmp_path / 'ws' / 'fruit'}: the workspace cannot be used" in capsys.readouterr().err


def test_ctrl_c_has_its_own_exit_code(start, monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(local_runner.loading, "load", interrupt)
    assert start() == ExitCode.INTERRUPTED
    assert (
        capsys.readouterr().err
        == "interrupted; run the same command again: finished stages come from the cache, and a training continues\n"
    )


def test_a_table_of_which_too_little_can_be_used_is_refused_with_the_whole_list(tmp_path, config, start, capsys):
    colour_tree(tmp_path / "photos", per_class=20)
    paths = [f"/elsewhere/{index}.png,cyan" for index in range(25)]
    paths += [f"photos/{name}/{index}.png,{name}" for index in range(20) for name in ("cyan", "yellow")]
    (tmp_path / "m.csv").write_text("path,label\n" + "\n".join(paths))
    Path(config).write_text("name: fruit\ndata: {source: manifest, path: m.csv}")
    assert start() == ExitCode.BAD_INPUT
    kept = tmp_path / "ws" / "fruit" / "rejected.jsonl"
    message = capsys.readouterr().err
    assert message.startswith(
        f"{config}: data.path: 25 of 65 files can't be used, more than data.max_bad_fraction 0.05"
    )
    assert "the file is outside" in message
    assert message.endswith(f"; all 25 are listed in {kept}\n")
    assert [row["path"] for row in rows_in(kept)] == [f"/elsewhere/{i}.png (line {i + 2})" for i in range(25)]


def test_the_images_that_stopped_a_stage_are_listed_until_the_next_run(tmp_path, config):
    from pipeline import stage_runner

    rows = [{"path": f"{index}.jpg", "kind": "labels", "with": ["other.jpg (red)"]} for index in range(25)]
    terminal, folder = io.StringIO(), RunFolder(tmp_path / "ws", "fruit")
    session = Session(loading.load(config), config, folder, terminal)

    def fail(_: Session) -> ExitCode:
        raise stage_runner.StageFailedError("ImageExampleGen") from BadImagesError("25 images", rows)

    assert local_runner._work(session, None, fail) == ExitCode.BAD_INPUT
    assert terminal.getvalue().endswith(f"ImageExampleGen failed: 25 images; all 25 are listed in {folder.rejected}\n")
    assert rows_in(folder.rejected) == rows
    assert local_runner._work(session, None, lambda _: ExitCode.OK) == ExitCode.OK
    assert not folder.rejected.exists()
