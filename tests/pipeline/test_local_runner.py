"""What a run on this machine refuses before it loads TFX."""

import pytest
from drawing import colour_tree

from config.errors import ExitCode
from pipeline import local_runner


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
            "not a SQLite database; delete it to start again",
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
