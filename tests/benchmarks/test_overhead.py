"""The profile of a run on tiny images; the runs themselves take minutes."""

from __future__ import annotations

import ast
import cProfile
import importlib.util
import sys
from pathlib import Path

import pytest

from benchmarks import overhead
from config import loading


def source(file: str) -> Path:
    """A file of an installed package, of this project or of Python."""
    package = file.partition("/")[0].removesuffix(".py")
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.origin is not None
    return Path(spec.origin) if "/" not in file else Path(spec.origin).parent.parent / file


@pytest.mark.parametrize("kind", sorted(overhead._KINDS.keys() - {"imports"}))
def test_what_a_profile_is_searched_for_is_there(kind):
    """A column would be empty if a library had renamed its function."""
    file, name = overhead._KINDS[kind]
    tree = ast.parse(source(file).read_text(encoding="utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_seconds_are_found_by_kind(tmp_path, monkeypatch):
    (tmp_path / "slow_to_import.py").write_text("import time; time.sleep(0.2)")
    monkeypatch.syspath_prepend(tmp_path)
    with cProfile.Profile() as profile:
        overhead._cost([sys.executable, "-c", "print(1)"])
        import slow_to_import  # noqa: F401
    kinds = overhead._kinds(profile)
    assert 0.2 <= kinds["imports"] < kinds["whole"]
    assert kinds["tracing"] == 0


def test_the_cost_of_a_command_has_its_stages():
    lines = "loading TFX\\nTransform         6.8 s\\nSchemaGen   cached\\n60 images: 60 used"
    cost = overhead._cost([sys.executable, "-c", f"print('{lines}'); sum(range(5_000_000))"])
    assert cost.stages == {"Transform": 6.8}
    assert 0 < cost.first_line <= cost.wall
    assert cost.cpu > 0.01


def test_a_command_that_fails_shows_its_output():
    with pytest.raises(SystemExit, match="ended with 3:\nwhy"):
        overhead._cost([sys.executable, "-c", "print('why', flush=True); raise SystemExit(3)"])


def test_the_configuration_has_two_classes_or_more_and_is_valid(tmp_path):
    config = loading.load(str(overhead._configuration(tmp_path, 7)))
    assert config.data.path == str(tmp_path / "images")
    assert {file.parent.name for file in (tmp_path / "images").rglob("*.png")} == {"red", "green", "blue"}


def test_the_table_has_a_row_for_each_part():
    seconds = dict.fromkeys(("whole", *overhead._KINDS), 0.0) | {"whole": 2.0, "tracing": 1.25}
    lines = overhead._table(dict.fromkeys(("Trainer", overhead._OUTSIDE), seconds)).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| Trainer", f"| {overhead._OUTSIDE}"]
    assert "2.0" in lines[2] and "1.2" in lines[2]
    assert len({line.count("|") for line in lines}) == 1
