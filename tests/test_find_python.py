"""Which Python `make` builds .venv with, on machines that are stood in for by programs in a folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "find_python.sh"
OLD_LOCK, NEW_LOCK = "requirements.lock", "requirements-3.12.lock"


class Machine:
    """A PATH with the few programs that the script calls, and the Pythons that a test adds."""

    def __init__(self, folder: Path) -> None:
        self.bin, self._home, self.project = folder / "bin", folder / "home", folder / "project"
        self.project.mkdir()
        self.environment = {"HOME": str(self._home)}
        self.bin.mkdir()
        for program in ("cut", "head", "sort", "sh"):
            (self.bin / program).symlink_to(str(shutil.which(program)))
        self.add("uname", 'if [ "$1" = -s ]; then echo Linux; else echo x86_64; fi')
        self.libc("2.36")

    def add(self, name: str, script: str, folder: Path | None = None) -> str:
        program = (folder or self.bin) / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
        return str(program)

    def libc(self, version: str) -> None:
        self.add("getconf", f"echo glibc {version}")

    def python(self, version: str, name: str = "", folder: Path | None = None) -> str:
        """Adds a Python that says its version and its path, as the script asks for them."""
        return self.add(name or f"python{version}", f'echo "{version} $0"', folder)

    def pyenv(self, version: str) -> str:
        return self.python(version, "python", self._home / f".pyenv/versions/{version}.1/bin")

    def venv(self, version: str) -> None:
        (self.project / ".venv").mkdir()
        (self.project / ".venv/dependencies").write_text(f"Python {version} 0123abcd  -\n", encoding="utf-8")

    def find(self, *wanted: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self.bin), "LANG": os.environ.get("LANG", "C"), **self.environment}
        return subprocess.run(
            ["sh", str(SCRIPT), *wanted], capture_output=True, text=True, env=environment, cwd=self.project
        )

    def found(self, *wanted: str) -> list[str]:
        done = self.find(*wanted)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    def missing(self, *wanted: str) -> str:
        """What it says is missing, in one line."""
        done = self.find(*wanted)
        assert (done.returncode, done.stdout) == (1, "")
        (line,) = done.stderr.splitlines()
        return line


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_python_3_11_comes_first_with_every_c_library(machine):
    python = machine.python("3.11")
    for libc in ("2.36", "2.41"):
        machine.libc(libc)
        machine.python("3.13")
        assert machine.found() == [python, OLD_LOCK]


def test_python_3_11_of_pyenv_comes_before_a_later_one(machine):
    machine.libc("2.41")
    machine.python("3.13")
    python = machine.pyenv("3.11")
    assert machine.found() == [python, OLD_LOCK]


@pytest.mark.parametrize("libc", ["2.39", "2.41", "2.100"])
@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_debian_13_and_ubuntu_24_04_take_their_own_python(machine, libc, version):
    machine.libc(libc)
    python = machine.python(version, "python3")
    assert machine.found() == [python, NEW_LOCK]


def test_ubuntu_22_04_with_python_3_12_says_what_is_missing(machine):
    machine.libc("2.35")
    machine.python("3.12")
    assert machine.missing().startswith("Python 3.12 was found, and glibc 2.35: glibc 2.39 or Python 3.11 is needed (")


def test_a_machine_without_any_says_which_are_possible(machine):
    machine.python("3.14", "python3")
    assert machine.missing().startswith("Python 3.11 was not found on PATH, in pyenv or through uv: install it (apt")
    machine.libc("2.41")
    assert machine.missing().startswith("Python 3.11, 3.12 or 3.13 was not found on PATH, in pyenv or through uv")


@pytest.mark.parametrize(("libc", "version", "lock"), [("2.36", "3.11", OLD_LOCK), ("2.39", "3.13", NEW_LOCK)])
def test_uv_gets_the_version_that_goes_with_the_c_library(machine, tmp_path, libc, version, lock):
    machine.libc(libc)
    python = machine.python(version, "python", tmp_path / "uv")
    machine.add("uv", f'[ "$1 $2" != "python find" ] || [ "$3" != {version} ] || echo {python}')
    assert machine.found() == [python, lock]


def test_base_python_is_taken_or_refused(machine):
    machine.python("3.11")
    later, old = machine.python("3.13"), machine.python("3.9")
    assert "glibc 2.39 or Python 3.11 is needed" in machine.missing(later)
    machine.libc("2.39")
    assert machine.found(later) == [later, NEW_LOCK]
    assert machine.missing(old) == f"{old}: Python 3.11, 3.12 or 3.13 is needed. This is 3.9."
    assert machine.missing("nothing").startswith("nothing: this is no Python")


def test_a_venv_keeps_its_python(machine):
    machine.libc("2.41")
    for version in ("3.11", "3.13"):
        machine.python(version)
    machine.venv("3.12")
    own = machine.python("3.12", "python", machine.project / ".venv/bin")
    assert [str(machine.project / machine.found()[0]), machine.found()[1]] == [own, NEW_LOCK]


@pytest.mark.parametrize("version", ["3.12", "3.12.1"])
def test_a_venv_whose_python_is_gone_keeps_its_version(machine, version):
    machine.libc("2.41")
    oldest = machine.python("3.11")
    machine.venv(version)
    (machine.project / ".venv/bin").mkdir()
    (machine.project / ".venv/bin/python").symlink_to("/nothing")
    assert machine.found() == [oldest, OLD_LOCK]
    of_pyenv = machine.pyenv("3.12")
    assert machine.found() == [of_pyenv, NEW_LOCK]
    on_path = machine.python("3.12")
    assert machine.found() == [on_path, NEW_LOCK]
    (machine.project / ".venv/dependencies").write_text("", encoding="utf-8")  # of an older checkout
    assert machine.found() == [oldest, OLD_LOCK]


def test_the_python_that_an_environment_was_made_from_is_taken(machine, tmp_path):
    """make deletes .venv before it builds it, perhaps while it is active; then its own Python would be gone."""
    machine.libc("2.41")
    first, second = tmp_path / "first", tmp_path / "second"
    for python, environment in ((sys.executable, first), (first / "bin/python", second)):
        subprocess.run([str(python), "-m", "venv", "--without-pip", str(environment)], check=True)
    for environment in (first, second):
        python = Path(machine.found(str(environment / "bin/python"))[0])
        assert python.samefile(sys.executable)
        assert python.parent == Path(sys.base_prefix, "bin")


def test_a_machine_without_home_needs_none(machine):
    machine.environment = {}
    python = machine.python("3.11")
    assert machine.found() == [python, OLD_LOCK]


@pytest.mark.parametrize(
    "answer", ["hello", "hello world", "3.11", "3.11 nowhere", "3.11.7 /bin/sh", "3 /bin/sh", "3.11 /bin/sh\nbye", ""]
)
def test_a_program_that_is_no_python_is_skipped(machine, answer):
    program = machine.add("python3.11", f"printf '{answer}\n'")
    assert machine.missing(program).startswith(f"{program}: this is no Python")
    machine.libc("2.39")
    python = machine.python("3.12")
    assert machine.found() == [python, NEW_LOCK]


def test_another_c_library_is_refused(machine):
    machine.python("3.11")
    machine.add("getconf", "echo 'getconf: GNU_LIBC_VERSION: unknown variable' >&2; exit 1")
    assert machine.missing().startswith("glibc is needed.")
    (machine.bin / "getconf").unlink()
    assert machine.missing().startswith("glibc is needed.")


def test_another_system_is_refused(machine):
    machine.add("uname", 'if [ "$1" = -s ]; then echo Darwin; else echo arm64; fi')
    assert machine.missing() == "Linux on x86-64 is needed. This is Darwin on arm64."
