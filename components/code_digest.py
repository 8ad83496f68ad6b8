"""The code of a stage as part of its cache key: a digest of every source file that the stage can reach.

TFX's cache, and Kubeflow's, ask whether a stage's inputs and parameters are those of an earlier run. Without the code
among them, a stage whose code has changed would be answered with an old result.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import components

PARAMETER = "code_digest"  # the execution property's name
ROOT = Path(components.__file__).parents[1]
PACKAGES = ("config", "modules", "components", "pipeline", "kubeflow", "regraft")


def of(*modules: str) -> str:
    """SHA-256 of the code that these modules can reach by imports inside this project, hexadecimal.

    Comments, docstrings and formatting do not count. Imports inside functions do; those for type checkers do not.

    Args:
      *modules: import paths of the stage's executor, its driver, and the user code that it calls.

    Raises:
      ModuleNotFoundError: if one of them is not a module of this project.
    """
    digest = hashlib.sha256()
    for module, path in sorted(reachable(modules).items()):
        digest.update(f"{module}\0{_file(path).digest}\0".encode())
    return digest.hexdigest()


def reachable(modules: Iterable[str]) -> dict[str, Path]:
    """The modules themselves and all that they import inside this project: import path to source file."""
    found: dict[str, Path] = {}
    pending = list(modules)
    for module in pending:
        if _source(module) is None:
            raise ModuleNotFoundError(f"{module} is not a module of this project")
    while pending:
        module = pending.pop()
        path = _source(module)
        if path is None or module in found:
            continue
        found[module] = path
        parent = module.rpartition(".")[0]
        pending += [parent, *_file(path).imports] if parent else _file(path).imports
    return found


def _source(module: str) -> Path | None:
    """The file of a module of this project; None for any other name."""
    return _found(ROOT, module)


@functools.cache
def _found(root: Path, module: str) -> Path | None:
    if module.partition(".")[0] not in PACKAGES:
        return None
    base = root.joinpath(*module.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


class _File(NamedTuple):
    """What counts of one source file.

    Attributes:
      digest: of its statements, without docstrings.
      imports: names, some of which are modules.
    """

    digest: str
    imports: tuple[str, ...]


@functools.cache
def _file(path: Path) -> _File:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [line for line in body if not _is_docstring(line)]  # type: ignore[attr-defined]
    return _File(hashlib.sha256(ast.dump(tree).encode()).hexdigest(), _imports(path, tree))


def _is_docstring(node: ast.AST) -> bool:
    """Whether a statement is a text alone: a docstring, or the description of a field."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _imports(path: Path, tree: ast.Module) -> tuple[str, ...]:
    """Names that a file imports, some of which are modules."""
    names: list[str] = []
    for node in _executed(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{path}, line {node.lineno}: relative imports are not used in this project")
            names += [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(names)


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below one, but for the blocks that only type checkers read."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and _is_for_type_checkers(child.test):
            children: list[ast.AST] = list(child.orelse)
        else:
            children = [child]
        for executed in children:
            yield executed
            yield from _executed(executed)


def _is_for_type_checkers(test: ast.expr) -> bool:
    """Whether a condition is `TYPE_CHECKING` or `typing.TYPE_CHECKING`."""
    name = test.attr if isinstance(test, ast.Attribute) else test.id if isinstance(test, ast.Name) else ""
    return name == "TYPE_CHECKING"
