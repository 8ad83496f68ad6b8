"""When `make` builds .venv again: with programs that stand in for Python and pip, in a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements.lock", "requirements-3.12.lock")

# Answers find_python.sh, tells its version, and makes an environment whose Python takes all that is asked of pip.
PYTHON = """#!/bin/sh
case "$1 $2" in
    "-c "*_base_executable*) echo "3.{minor} {path}" ;;
    "-c "*) echo "(3, {minor})" ;;
    "--version "*) echo "Python 3.{minor}.{patch}" ;;
    "-m venv") mkdir -p "$3/bin"; cp "{path}" "$3/bin/python" ;;
esac
"""


class Checkout:
    """A folder with the Makefile, on a machine with glibc 2.41."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._bin = folder / "project", folder / "bin"
        self._bin.mkdir()
        self.folder.mkdir()
        for name in ("Makefile", "find_python.sh"):
            shutil.copy(ROOT / name, self.folder)
        for name in LOCKS:
            self.lock(name, "first")
        (self._bin / "getconf").write_text("#!/bin/sh\necho glibc 2.41\n", encoding="utf-8")
        (self._bin / "getconf").chmod(0o755)

    def python(self, minor: int, patch: int) -> None:
        program = self._bin / f"python3.{minor}"
        program.write_text(PYTHON.format(minor=minor, patch=patch, path=program), encoding="utf-8")
        program.chmod(0o755)

    def lock(self, name: str, content: str) -> None:
        """Writes a lock, which is then newer than .venv."""
        if (marker := self.folder / ".venv/dependencies").exists():
            os.utime(marker, (0, 0))
        (self.folder / name).write_text(f"{content}==1.0\n", encoding="utf-8")

    def make(self, *arguments: str) -> str:
        """The lock that .venv is built with; empty if it stays."""
        environment = {"PATH": f"{self._bin}:{os.environ['PATH']}", "HOME": str(self._bin)}
        done = subprocess.run(
            ["make", ".venv/dependencies", *arguments],
            capture_output=True,
            text=True,
            env=environment,
            cwd=self.folder,
        )
        assert done.returncode == 0, done.stderr
        return next((word for word in done.stdout.split() if word in LOCKS), "")


@pytest.fixture
def checkout(tmp_path):
    checkout = Checkout(tmp_path)
    checkout.python(11, 7)
    checkout.python(12, 1)
    return checkout


def test_it_is_built_once_and_after_a_change_of_its_own_lock(checkout):
    own, other = LOCKS
    assert checkout.make() == own
    assert checkout.make() == ""
    checkout.lock(other, "second")
    assert checkout.make() == ""
    checkout.lock(own, "second")
    assert checkout.make() == own


def test_it_keeps_its_version_after_a_change_of_either_lock(checkout):
    other, own = LOCKS
    assert checkout.make("BASE_PYTHON=python3.12") == own
    checkout.lock(other, "second")
    assert checkout.make() == ""
    checkout.lock(own, "second")
    assert checkout.make() == own
    assert checkout.make("BASE_PYTHON=python3.11") == other


def test_a_new_patch_version_builds_nothing(checkout):
    own, other = LOCKS
    assert checkout.make() == own
    checkout.python(11, 8)
    checkout.lock(other, "second")
    assert checkout.make() == ""


def test_it_is_built_again_if_its_python_is_gone(checkout):
    own, other = LOCKS
    assert checkout.make() == own
    (checkout.folder / ".venv/bin/python").unlink()
    checkout.lock(other, "second")
    assert checkout.make() == own
