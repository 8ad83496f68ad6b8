"""What the Debian in a folder gets from this machine; none is made here."""

from __future__ import annotations

import os
from pathlib import Path

import debian_root
import pytest


@pytest.fixture
def machine(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("PIP_") or name == "SSL_CERT_FILE"]:
        monkeypatch.delenv(name)
    return debian_root.Machine(root=tmp_path / "root", folder=tmp_path / "folder")


def test_downloads_are_in_the_folder_that_pip_uses_there(machine, tmp_path, monkeypatch):
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    monkeypatch.setenv("PIP_CACHE_DIR", str(downloads))
    assert (downloads, Path(machine.variables()["PIP_CACHE_DIR"])) in list(machine.bound())


@pytest.mark.parametrize("name", ["PIP_CERT", "PIP_CONFIG_FILE", "SSL_CERT_FILE"])
def test_a_file_that_a_variable_names_is_there_too(machine, tmp_path, monkeypatch, name):
    file = tmp_path / "file"
    monkeypatch.setenv(name, str(file))
    assert name not in machine.variables()
    file.touch()
    assert (file, Path(machine.variables()[name])) in list(machine.bound())


def test_options_of_pip_are_passed_on(machine, monkeypatch):
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "60")
    assert machine.variables()["PIP_DEFAULT_TIMEOUT"] == "60"


def test_a_python_of_pyenv_is_found_in_its_root(tmp_path, monkeypatch):
    python = tmp_path / "versions/3.12.1/bin/python3.12"
    python.parent.mkdir(parents=True)
    python.touch()
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert debian_root.python_of_this_machine("3.12") == python
