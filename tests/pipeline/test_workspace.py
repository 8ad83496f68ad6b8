"""The folder of a pipeline."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

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


KILLED = """
import os, signal, tempfile
from pipeline.workspace import temporary_files
with temporary_files():
    open(tempfile.mkdtemp() + "/file", "w").close()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_temporary_files_are_removed_also_those_of_a_run_that_was_killed(tmp_path, monkeypatch):
    subprocess.run([sys.executable, "-c", KILLED], env={**os.environ, "TMPDIR": str(tmp_path)})
    (left_over,) = tmp_path.iterdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with temporary_files():
        assert not left_over.exists()
        used = Path(tempfile.gettempdir())
        with temporary_files():
            assert used.is_dir() and tempfile.gettempdir() != str(used), "a run that goes on keeps its folder"
    assert list(tmp_path.iterdir()) == []


def test_half_written_files_of_a_run_that_was_killed_are_removed(tmp_path):
    folder = RunFolder(tmp_path, "fruit")
    with folder.locked():
        (folder.path / ".summary.json.123.tmp").touch()
    with folder.locked():
        assert {path.name for path in folder.path.iterdir()} == {".lock"}


def test_logs_are_named_by_utc(tmp_path):
    log = RunFolder(tmp_path, "fruit").new_log()
    assert log.name.partition("-")[2].partition("-")[0].endswith("Z")
