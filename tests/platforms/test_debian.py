"""A fresh clone on Debian 13: `make run` and the fast tests, with its own Python 3.13 and with 3.12.

There TFX 1.21 has its own partners, ml-metadata 1.21 and TensorFlow Data Validation 1.21, and the SDK of Kubeflow
Pipelines is 2.17.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import debian_root
import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.platforms,
    pytest.mark.timeout(5400),
    pytest.mark.skipif(bool(debian_root.why_not()), reason=debian_root.why_not()),
]

# Tests that load TensorFlow, so that `make test-fast` leaves them out, of what is another version there.
OF_OTHER_VERSIONS = (
    "tests/components/example_validator",
    "tests/kubeflow/test_compile.py",
    "tests/kubeflow/test_extra_tasks.py",
    "tests/kubeflow/test_submit.py",
    "tests/end_to_end/test_input.py::test_an_anomaly_stops_the_run_in_its_own_words",
)
VERSIONS = """
import importlib.metadata, json, platform
names = ("ml-metadata", "tensorflow-data-validation", "kfp")
print(json.dumps([platform.python_version_tuple()[1], *(importlib.metadata.version(name)[:4] for name in names)]))
"""


@pytest.fixture(scope="module")
def root() -> Path:
    return debian_root.make()


@pytest.fixture(scope="module", params=["13", "12"])
def machine(request, root, tmp_path_factory) -> Iterator[tuple[debian_root.Machine, str]]:
    """A Debian 13 with a clone in /project, and the minor version of its Python."""
    folder = tmp_path_factory.mktemp(f"python3{request.param}")
    machine = debian_root.Machine(root, folder)
    if request.param == "12":  # not in Debian 13
        python = debian_root.python_of_this_machine("3.12")
        if python is None:
            pytest.skip(
                "needs a Python 3.12 that is in a folder of its own: pyenv install 3.12, or uv python install 3.12"
            )
        prefix = python.parents[1]
        machine = debian_root.Machine(root, folder, binds=(prefix,), environment={"BASE_PYTHON": str(python)})
    clone(machine.project)
    yield machine, request.param
    shutil.rmtree(folder)


def clone(target: Path) -> None:
    """Clones the project, with changes that are not committed."""
    git = ["git", "-C", str(ROOT)]
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(target)], check=True)
    listed = subprocess.run(
        [*git, "ls-files", "-z", "-cmo", "--exclude-standard"], check=True, capture_output=True, text=True
    )
    for name in set(listed.stdout.split("\0")) - {""}:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).exists():
            shutil.copy2(ROOT / name, target / name)
        else:
            (target / name).unlink(missing_ok=True)


def test_the_demo_runs_to_its_end(machine):
    debian, minor = machine
    done = debian.run("make run")
    assert done.returncode == 0, done.stdout[-6000:]
    summary = json.loads((debian.project / "workspace/traffic-lights/summary.json").read_text(encoding="utf-8"))
    assert summary["data"]["found"] == 1484
    assert summary["test"]["accuracy"] >= 0.98
    versions = debian.run(f".venv/bin/python -c '{VERSIONS}'")
    assert json.loads(versions.stdout.splitlines()[-1]) == [minor, "1.21", "1.21", "2.17"]


def test_the_fast_tests_pass(machine):
    done = machine[0].run("make test-fast")
    assert done.returncode == 0, done.stdout[-6000:]


def test_the_tests_of_what_has_other_versions_there_pass(machine):
    done = machine[0].run(f".venv/bin/python -m pytest -q -n 2 {' '.join(OF_OTHER_VERSIONS)}")
    assert done.returncode == 0, done.stdout[-6000:]


def test_nothing_is_left_behind(machine):
    debian, _ = machine
    started = debian.run("sleep 3600 & echo started")
    assert started.stdout.strip() == "started"
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8")
    assert str(debian.root) not in mounts
    assert not [found for found in Path("/proc").glob("[0-9]*/root") if str(debian.root) in os.path.realpath(found)]
