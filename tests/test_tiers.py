"""Which tests run apart, and when CI repeats them."""

import json
import subprocess
import sys

import pytest
import tiers

from components import code_digest


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with one tier of one file, which passed."""
    (tmp_path / "Dockerfile").write_text("FROM python", encoding="utf-8")
    (tmp_path / "passed.json").write_text("{}", encoding="utf-8")
    monkeypatch.setattr(tiers, "ROOT", tmp_path)
    monkeypatch.setattr(tiers, "PASSED", tmp_path / "passed.json")
    monkeypatch.setattr(tiers, "TIERS", {"image": tiers.Tier(files=("Dockerfile",))})
    assert tiers.changed() == ["image"]
    tiers.record("image")
    return tmp_path


def test_a_tier_is_repeated_only_if_one_of_its_files_changes(project):
    (project / "README.md").write_text("other", encoding="utf-8")
    assert tiers.changed() == []
    (project / "Dockerfile").write_text("FROM debian", encoding="utf-8")
    assert tiers.changed() == ["image"]


def test_a_tier_whose_file_is_gone_is_an_error(project):
    (project / "Dockerfile").unlink()
    with pytest.raises(FileNotFoundError, match="Dockerfile: no file of the project matches"):
        tiers.changed()


def test_code_counts_and_its_comments_do_not(project, monkeypatch):
    code = project / "config" / "gate.py"
    code.parent.mkdir()
    (code.parent / "__init__.py").touch()
    code.write_text("BOUND = 1\n", encoding="utf-8")
    monkeypatch.setattr(code_digest, "ROOT", project)
    monkeypatch.setattr(tiers, "TIERS", {"beam": tiers.Tier(files=("Dockerfile",), modules=("config.gate",))})
    tiers.record("beam")
    code.write_text("BOUND = 1  # of the gate\n", encoding="utf-8")
    code_digest._file.cache_clear()
    assert tiers.changed() == []
    code.write_text("BOUND = 2\n", encoding="utf-8")
    code_digest._file.cache_clear()
    assert tiers.changed() == ["beam"]


def test_every_tier_has_files_and_tests(pytestconfig):
    for name, tier in tiers.TIERS.items():
        assert len(tiers.digest(tier)) == 64
        assert any(line.startswith(f"{name}:") for line in pytestconfig.getini("markers"))
    assert set(json.loads(tiers.PASSED.read_text(encoding="utf-8"))) <= set(tiers.TIERS)


def test_the_commands_name_of_a_tier_is_checked():
    done = subprocess.run([sys.executable, tiers.__file__, "passed", "other"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "usage: tiers.py changed, or tiers.py passed image | pods | beam\n")
