"""The layout's own rules: which way imports go."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = ("modules", "components", "pipeline", "kubeflow")  # from the ground up


def imports(file: Path) -> set[str]:
    """The top-level packages of this project that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names & set(FLOORS)


@pytest.mark.parametrize("floor", [name for name in FLOORS if (ROOT / name).is_dir()])
def test_no_floor_imports_from_above(floor):
    above = set(FLOORS[FLOORS.index(floor) + 1 :])
    wrong = {str(f.relative_to(ROOT)): imports(f) & above for f in (ROOT / floor).rglob("*.py") if imports(f) & above}
    assert not wrong


def test_the_modules_are_flat():
    """TFX packs the .py files beside a module file, and none below them."""
    assert [path for path in (ROOT / "modules").rglob("*.py") if path.parent != ROOT / "modules"] == []
