"""The ground floor: config/ imports nothing above it, and nothing that takes long."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import config

MODULES = sorted(f"config.{path.stem}" for path in Path(config.__path__[0]).glob("*.py") if path.stem != "__init__")
PROGRAM = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


@pytest.fixture(scope="module")
def imported() -> set[str]:
    """The top-level packages in a process that has imported every module of config/."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, *MODULES], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_config_imports_nothing_else_of_this_project(imported):
    assert "config" in imported
    assert not imported & {"modules", "components", "pipeline", "kubeflow", "regraft", "benchmarks", "data", "tests"}


def test_config_imports_no_library_that_takes_seconds(imported):
    assert "pydantic" in imported
    assert not imported & {"tensorflow", "keras", "tfx", "apache_beam", "tensorflow_transform", "kfp", "numpy"}
