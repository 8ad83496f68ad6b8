"""The digest of a stage's code: which changes of the source files run a stage again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from components import code_digest

ROOT = Path(code_digest.__file__).parents[1]

# A project with one stage. The stage reaches helpers, late and deep; not types_only, nor other.
SOURCES = {
    "components/__init__.py": "",
    "components/stage/__init__.py": "",
    "components/stage/executor.py": """
        from __future__ import annotations
        from typing import TYPE_CHECKING
        import json
        from modules import helpers
        if TYPE_CHECKING:
            from modules import types_only
        else:
            from modules import not_for_type_checkers

        def run():
            from modules.late import late
            return helpers, late
    """,
    "components/other.py": "VALUE = 1",
    "modules/__init__.py": "",
    "modules/helpers.py": "import modules.nested.deep",
    "modules/late.py": "def late(): return 1",
    "modules/nested/__init__.py": "",
    "modules/nested/deep.py": "VALUE = 1",
    "modules/types_only.py": "VALUE = 1",
    "modules/not_for_type_checkers.py": "VALUE = 1",
}
STAGE = "components.stage.executor"


def clear_caches() -> None:
    for function in (code_digest._file, code_digest._found):
        function.cache_clear()


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The project in a folder, with a function that changes a file and returns the stage's digest."""
    for name, source in SOURCES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(line.removeprefix(" " * 8) for line in source.splitlines()) + "\n")
    monkeypatch.setattr(code_digest, "ROOT", tmp_path)
    clear_caches()

    def digest_with(name: str = "", addition: str = "") -> str:
        if name:
            path = tmp_path / name
            path.write_text(path.read_text() + addition + "\n")
        clear_caches()
        return code_digest.of(STAGE)

    yield digest_with
    clear_caches()


def test_the_digest_does_not_change_without_a_change(project):
    first = project()
    assert len(first) == 64
    assert project() == first == code_digest.of(STAGE, STAGE)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("components/stage/executor.py", id="the module itself"),
        pytest.param("modules/helpers.py", id="an import"),
        pytest.param("modules/nested/deep.py", id="an import of an import"),
        pytest.param("modules/late.py", id="an import in a function"),
        pytest.param("components/stage/__init__.py", id="the package"),
        pytest.param("components/__init__.py", id="the parent package"),
        pytest.param("modules/nested/__init__.py", id="the package of an import"),
    ],
)
def test_a_change_of_reachable_code_changes_the_digest(project, name):
    before = project()
    assert project(name, "CHANGED = 1") != before


@pytest.mark.parametrize("name", ["components/other.py", "modules/types_only.py"])
def test_a_change_of_other_code_does_not_change_the_digest(project, name):
    before = project()
    assert project(name, "CHANGED = 1") == before


def test_comments_and_formatting_do_not_change_the_digest(project):
    before = project()
    assert project("modules/helpers.py", "\n\n# a comment") == before
    assert project("modules/helpers.py", '"""A description of what comes before."""') == before
    assert project("modules/helpers.py", 'NAME = "a text that is a value"') != before


def test_new_code_under_a_new_name_changes_the_digest_and_a_removed_import_does_too(project, tmp_path):
    before = project()
    executor = tmp_path / "components/stage/executor.py"
    executor.write_text(executor.read_text().replace("from modules import helpers", "helpers = None"))
    assert project() != before
    assert not {"modules.helpers", "modules.nested.deep"} & code_digest.reachable([STAGE]).keys()


def test_an_unknown_module_is_an_error(project):
    for name in ("components.missing", "json"):
        with pytest.raises(ModuleNotFoundError, match=f"{name} is not a module of this project"):
            code_digest.of(name)


def test_a_relative_import_is_an_error(project):
    with pytest.raises(ValueError, match=r"helpers\.py, line \d+: relative imports"):
        project("modules/helpers.py", "from . import late")


# Modules of each stage's code, and the driver where there is one.
STAGES = {
    "ImageExampleGen": ("components.image_example_gen.executor", "components.image_example_gen.driver"),
    "TrunkFeatures": ("components.trunk_features.executor",),
    "Transform": ("modules.preprocessing",),
    "Trainer": ("components.trainer.executor", "modules.trainer"),
    "ExampleValidator": ("components.example_validator.executor", "components.example_validator.driver"),
    "BaselineModel": ("components.baseline_model.executor", "components.baseline_model.driver"),
    "Evaluator": ("components.evaluator.executor",),
    "ServingCheck": ("components.serving_check.executor",),
    "Pusher": ("components.pusher.executor", "components.pusher.driver"),
}

# module: the stages that run again if it changes
REACH = {
    "components.evaluator.metrics": {"Evaluator"},
    "components.evaluator.thresholds": {"Evaluator"},
    "components.evaluator.verdict": {"Evaluator", "Pusher"},
    "components.serving_check.probe": {"ServingCheck"},
    "components.example_validator.drift": {"ExampleValidator"},
    "components.pusher.model_card": {"Pusher"},
    "components.evaluator.prediction_writer": {"Evaluator"},
    "components.evaluator.custom_extractors": {"Evaluator"},
    "components.serving_directory": {"ExampleValidator", "BaselineModel", "Pusher"},
    "config.gate": {"Evaluator", "Pusher"},
    "modules.heads": {"Trainer"},
    "modules.classifier": {"Trainer"},
}


@pytest.mark.parametrize("module", REACH)
def test_a_change_runs_only_the_stages_that_can_reach_it_again(module):
    assert {name for name, modules in STAGES.items() if module in code_digest.reachable(modules)} == REACH[module]


def test_a_changed_metric_changes_the_evaluators_digest_alone(tmp_path, monkeypatch):
    for package in ("config", "modules", "components"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code_digest, "ROOT", tmp_path)
    clear_caches()
    before = {name: code_digest.of(*modules) for name, modules in STAGES.items()}
    metrics = tmp_path / "components" / "evaluator" / "metrics.py"
    metrics.write_text(metrics.read_text() + "\n_CHANGED = 1\n")
    clear_caches()
    after = {name: code_digest.of(*modules) for name, modules in STAGES.items()}
    clear_caches()
    assert {name for name in STAGES if before[name] != after[name]} == {"Evaluator"}
