"""What is refused before TFX is loaded."""

import pytest
from drawing import colour_tree

from pipeline import local_runner


@pytest.fixture
def config(tmp_path):
    colour_tree(tmp_path / "photos", per_class=1)
    (tmp_path / "run.yaml").write_text("name: fruit\ndata: {path: photos}")
    return str(tmp_path / "run.yaml")


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda w: w.write_text("a file"), "can't be used: "),
        (
            lambda w: ((w / "fruit").mkdir(parents=True), (w / "fruit/metadata.sqlite").write_text("junk")),
            "delete it to",
        ),
    ],
)
def test_a_workspace_that_can_not_be_used_is_named(tmp_path, config, capsys, prepare, message):
    prepare(tmp_path / "ws")
    assert local_runner.main(["--config", config, "--workspace", str(tmp_path / "ws")]) == 2
    told = capsys.readouterr().err
    assert "fruit" in told and message in told and "Traceback" not in told


def test_a_data_folder_that_can_not_be_used_is_named_with_the_configuration(tmp_path, config, capsys):
    (tmp_path / "photos").rename(tmp_path / "gone")
    assert local_runner.main(["--config", config, "--workspace", str(tmp_path / "ws")]) == 2
    assert capsys.readouterr().err.startswith(f"{config}: data.path: a folder with one subfolder a class is expected")
    assert not (tmp_path / "ws").exists()
