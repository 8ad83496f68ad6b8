"""What the tests of several benchmarks share: each calls a benchmark's main at its smallest size."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import benchmarking
import pytest
import small_backbone

from benchmarks import harness, processes, training
from benchmarks.training import Case


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
    return small_backbone.write(tmp_path_factory.mktemp("backbone") / "backbone.keras")


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Path:
    """20 JPEGs in each of three colours."""
    return benchmarking.photos(tmp_path_factory.mktemp("photos"), 20)


@dataclass
class Training:
    """What benchmarks/training.py printed, and what its run left.

    Attributes:
      output: its report.
      run: the pipeline's folder.
      splits: the images as the script read them.
    """

    output: str
    run: Path
    splits: Path


@pytest.fixture(scope="session")
def trained(tmp_path_factory, small, photos) -> Iterator[Training]:
    """One round of benchmarks/training.py, with a pipeline whose gate refuses the model: it has few test images."""
    folder = tmp_path_factory.mktemp("kept")
    pipeline, in_splits = harness.pipeline, harness.in_splits

    def keep_run(config: dict[str, Any], temporary: Path, workspace: Path) -> harness.Result:
        result = pipeline(config, temporary, workspace)
        shutil.copytree(workspace / config["name"], folder / "run")
        return result

    def keep_splits(images: Path, temporary: Path) -> Path:
        in_splits(images, temporary)
        shutil.copytree(temporary, folder / "splits")
        return temporary

    output: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(harness, "PHOTOS", photos)
        patch.setattr(processes, "run", benchmarking.run)
        patch.setattr(harness, "pipeline", keep_run)
        patch.setattr(harness, "in_splits", keep_splits)
        patch.setattr(
            training, "CASES", {"small": Case(small, {"kind": "conv", "filters": [8], "dropout": 0.1}, (2, 2))}
        )
        patch.setattr(sys.stdout, "write", output.append)
        patch.setattr(sys, "argv", ["training", "--rounds", "1", "--images", "60"])
        training.main()
    yield Training("".join(output), folder / "run", folder / "splits")
