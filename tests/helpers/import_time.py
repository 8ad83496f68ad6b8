"""Which test files load TensorFlow, TFX or Beam as they are imported: `make test-fast` leaves them out."""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FOLDERS = (ROOT, ROOT / "tests" / "helpers")  # where this project's own modules are
SLOW = frozenset({
    "apache_beam",
    "keras",
    "ml_metadata",
    "tensorflow",
    "tensorflow_data_validation",
    "tensorflow_datasets",
    "tensorflow_model_analysis",
    "tensorflow_transform",
    "tfx",
})  # fmt: skip


def is_slow(path: Path) -> bool:
    """Whether importing a file of this project imports one of these libraries, itself or through others."""
    pending, seen = [path], set()
    while pending:
        file = pending.pop()
        if file in seen:
            continue
        seen.add(file)
        names = _imports(file)
        if any(name.partition(".")[0] in SLOW for name in names):
            return True
        pending += [source for name in names for source in _sources(name)]
    return False


def loaded() -> set[str]:
    """Those of the libraries that this process has imported."""
    return SLOW & set(sys.modules)


@functools.cache
def _imports(path: Path) -> tuple[str, ...]:
    """Names that are imported when a file is; some of them are modules."""
    names: list[str] = []
    for node in _at_import(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(names)


def _at_import(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below one, but for the bodies of functions."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from _at_import(child)


@functools.cache
def _sources(name: str) -> tuple[Path, ...]:
    """The files of a module of this project and of the packages around it; none for any other name."""
    parts = name.split(".")
    found = []
    for folder in _FOLDERS:
        for length in range(1, len(parts) + 1):
            base = folder.joinpath(*parts[:length])
            found += [path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()]
    return tuple(found)
