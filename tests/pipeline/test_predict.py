"""Which version `regraft predict` and `--gate-only` take, without TensorFlow."""

from pathlib import Path

import pytest

from config.errors import BadInputError
from pipeline import predict


def saved_model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").touch()
    return folder


def test_the_newest_version_is_taken_under_its_own_name(tmp_path):
    for name in ("9", "00000123", "124.tmp", "９９９"):
        saved_model(tmp_path / name)
    assert predict.version_folder(tmp_path) == tmp_path / "00000123"
    assert predict.version_folder(tmp_path / "9") == tmp_path / "9"
    newest = saved_model(tmp_path.parent / "elsewhere")
    (tmp_path / "0124").symlink_to(newest)
    assert predict.version_folder(tmp_path) == tmp_path / "0124"


def test_a_name_that_a_server_takes_for_a_newer_version_is_warned_of(tmp_path, capsys):
    saved_model(tmp_path / "1")
    (tmp_path / "2").touch()
    assert predict.version_folder(tmp_path) == tmp_path / "1"
    assert capsys.readouterr().err.startswith(f"warning: {tmp_path}: TF Serving reads the name '2' as version 2, but")


@pytest.mark.parametrize("name", ["1.tmp", "-1", "99999999999999999999", "x"])
def test_a_folder_without_versions_is_refused(tmp_path, name):
    saved_model(tmp_path / name)
    with pytest.raises(BadInputError, match="a SavedModel or a folder of numbered versions is expected"):
        predict.version_folder(tmp_path)
