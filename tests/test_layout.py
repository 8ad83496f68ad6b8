"""The layout's own rules: which way imports go, how long functions and files may be, and which names are used."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = ("config", "modules", "components", "pipeline", "kubeflow", "regraft")  # from the ground up
MOST_LINES_OF_A_FUNCTION, MOST_LINES_OF_A_FILE = 60, 400
SOURCES = sorted(path for folder in (*FLOORS, "benchmarks", "data", "docs") for path in (ROOT / folder).rglob("*.py"))

# Names that were replaced by plainer ones; nothing may be called so again.
OLD_FILES = {
    *(f"components/image_example_gen/{old}.py" for old in ("deciding", "looking", "writing", "resemblance", "threads")),
    *(f"components/image_example_gen/{old}.py" for old in ("workers", "reasons", "settings", "sources/reading")),
    *(f"components/image_example_gen/sources/{old}.py" for old in ("files", "records", "class_names", "split_names")),
    *(
        f"modules/{old}.py"
        for old in ("material", "inputs", "batches", "input_preprocessing", "feature_table", "views")
    ),
    *(f"modules/{old}.py" for old in ("own_backbones", "gem", "assembly", "model", "resume", "statistics", "metrics")),
    *(f"modules/{old}.py" for old in ("reference_answers", "orientation", "errors", "fingerprints")),
    *(f"pipeline/{old}.py" for old in ("gate", "models", "run_record", "class_balance", "beam_process", "config")),
    *("kubeflow/own_tasks.py", "kubeflow/outside_state.py", "components/evaluator/reading.py", "benchmarks/contest.py"),
}
OLD_CLASSES = {
    *("Look", "Seen", "Refused", "Place", "Decide", "Found", "Material", "HeadOptions", "Settings", "Inputs"),
}
OLD_ARGUMENTS = {"given", "elsewhere"}


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported_packages(path: Path) -> set[str]:
    """The top-level packages of this project that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names & set(FLOORS)


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("floor", FLOORS)
def test_no_floor_imports_from_above(floor):
    above = set(FLOORS[FLOORS.index(floor) + 1 :])
    files = sorted((ROOT / floor).rglob("*.py"))
    assert files
    assert {name(file): wrong for file in files if (wrong := imported_packages(file) & above)} == {}


def test_every_folder_of_code_is_on_a_floor():
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages - {"benchmarks", "tests"} == set(FLOORS)


def test_functions_fit_on_a_screen():
    lengths = {
        f"{name(path)}:{function.name}": length
        for path in SOURCES
        for function in functions(path)
        if (length := (function.end_lineno or 0) - function.lineno + 1) > MOST_LINES_OF_A_FUNCTION
    }
    assert lengths == {}


def test_files_are_about_one_thing():
    lengths = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {file: length for file, length in lengths.items() if length > MOST_LINES_OF_A_FILE} == {}


def test_old_names_of_files_and_classes_are_gone():
    assert {name(path) for path in SOURCES} & OLD_FILES == set()
    classes = {
        f"{name(path)}:{node.name}"
        for path in SOURCES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef)
    }
    assert {found for found in classes if found.partition(":")[2] in OLD_CLASSES} == set()


def test_old_names_of_arguments_are_gone():
    found = {
        f"{name(path)}:{function.name}:{argument.arg}"
        for path in SOURCES
        for function in functions(path)
        for argument in (*function.args.args, *function.args.kwonlyargs)
        if argument.arg in OLD_ARGUMENTS
    }
    assert found == set()


def test_the_module_files_are_where_tfx_users_look_for_them():
    assert {"preprocessing.py", "trainer.py"} <= {path.name for path in (ROOT / "modules").glob("*.py")}
