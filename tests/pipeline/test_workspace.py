"""The folder of a pipeline."""

import tempfile

import pytest

from config.errors import BadInputError
from pipeline.workspace import RunFolder, temporary_files


def test_a_folder_is_in_use_while_a_run_holds_it(tmp_path):
    folder = RunFolder(tmp_path, "fruit")
    assert not folder.is_in_use()
    with folder.locked():
        assert folder.is_in_use()
        with pytest.raises(BadInputError, match="another run is using it"), folder.locked():
            pass
        assert folder.is_in_use()
    assert not folder.is_in_use()


@pytest.mark.parametrize("character", ["[", "*", "?", "\\"])
def test_a_path_that_tfx_would_take_for_a_pattern_is_refused_at_once(tmp_path, monkeypatch, character):
    named = tmp_path / f"runs{character}1"
    with pytest.raises(BadInputError, match=r"^--workspace: .* the character '"), RunFolder(named, "fruit").locked():
        pass
    assert not named.exists()
    monkeypatch.setattr(tempfile, "tempdir", str(named))
    with pytest.raises(BadInputError, match=r"^TMPDIR: .* the character '"), temporary_files():
        pass


def test_any_other_character_may_be_in_a_path(tmp_path):
    with RunFolder(tmp_path / "a b#c%d{e}é'f\"g,h&i;$x(]", "fruit").locked():
        pass
