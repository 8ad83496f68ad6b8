"""What the tests of several benchmarks share: each calls a benchmark's main at its smallest size."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import benchmarking
import pytest

from benchmarks import processes


@pytest.fixture
def run_main(monkeypatch, capsys) -> Callable[..., str]:
    """Calls a benchmark's main with arguments; returns what it prints."""

    def run(main: Callable[[], None], *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["benchmark", *map(str, arguments)])
        capsys.readouterr()
        main()
        return capsys.readouterr().out

    return run


@pytest.fixture
def forked(monkeypatch) -> None:
    monkeypatch.setattr(processes, "run", benchmarking.run)


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> dict[str, Any]:
    """The section `backbone` of a small one."""
    import small_backbone  # loads TensorFlow, which the fast tests of this folder do without

    return small_backbone.write(tmp_path_factory.mktemp("backbone") / "backbone.keras")


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Path:
    """20 JPEGs in each of three colours."""
    return benchmarking.photos(tmp_path_factory.mktemp("photos"), 20)
