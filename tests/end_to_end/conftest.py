"""Runs of the true pipeline. Each is a process of its own, forked from one that has TFX loaded already."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import small_backbone
import yaml
from click.testing import CliRunner, Result
from drawing import colour_tree
from fork_server import CONTEXT

from components import code_digest
from regraft import cli, commands

SMALL = {
    "head": {"kind": "conv", "filters": [16], "dropout": 0.1},
    "training": {
        "seed": 0,
        "batch_size": 16,
        "head": {"epochs": 3, "learning_rate": 1e-2},
        "fine_tune": {"epochs": 1, "learning_rate": 1e-5, "layers": 4},
    },
    "gate": {"min_accuracy": 0.9, "max_regression": 0.01, "min_test_examples": 5},
}


@dataclass
class Run:
    """A run that has ended, or been killed; later runs of the same pipeline don't change what is here."""

    exit_code: int
    output: str
    folder: Path
    summary: dict[str, Any] | None

    @property
    def versions(self) -> list[str]:
        return sorted(child.name for child in (self.folder / "serving").glob("[0-9]*"))

    def check(self, metric: str) -> dict[str, Any]:
        """The gate's check of this metric over the whole test split."""
        (found,) = (c for c in self.summary["gate"]["checks"] if (c["metric"], c["slice"]) == (metric, "overall"))
        return found

    @property
    def cached(self) -> dict[str, bool]:
        return {stage["id"]: stage["cached"] for stage in self.summary["stages"]}


class Workspace:
    """A folder with configurations and the runs made from them."""

    def __init__(self, path: Path, backbone: dict[str, Any]):
        self.path, self.backbone = path, backbone
        self._runs = 0

    def configure(self, photos: Path, name: str = "colours", **sections: Any) -> Path:
        """Writes a configuration: SMALL with the small backbone, with fields of its sections replaced."""
        content: dict[str, Any] = {"name": name, "data": {"path": str(photos)}, **json.loads(json.dumps(SMALL))}
        content["backbone"] = {} if "backbone" in sections else self.backbone
        for section, fields in sections.items():
            content.setdefault(section, {}).update(fields)
        file = self.path / f"{name}-{self._runs}.yaml"
        file.write_text(yaml.safe_dump(content), encoding="utf-8")
        return file

    def start(
        self, config: Path, *options: str, command: str = "run", sources: Path | None = None
    ) -> tuple[multiprocessing.Process, Path]:
        """Starts `regraft run`, or another command; gives the process and the file that is its terminal.

        With `sources` the code in the cache keys is that of another folder.
        """
        self._runs += 1
        terminal = self.path / f"terminal-{self._runs}.txt"
        arguments = [command, str(config), "--workspace", str(self.path / "workspace"), *options]
        process = CONTEXT.Process(target=_main, args=(arguments, terminal, sources))
        process.start()
        return process, terminal

    def run(self, config: Path, *options: str, command: str = "run", sources: Path | None = None) -> Run:
        process, terminal = self.start(config, *options, command=command, sources=sources)
        process.join()
        return self.ended(process.exitcode, terminal, config)

    def run_and_kill(self, config: Path, moment: Callable[[str], bool], number: int = signal.SIGKILL) -> Run:
        """Sends a signal as soon as `moment` holds of what the terminal shows."""
        process, terminal = self.start(config)
        while process.is_alive() and not moment(terminal.read_text() if terminal.exists() else ""):
            time.sleep(0.02)
        os.kill(process.pid, number)
        process.join()
        return self.ended(process.exitcode, terminal, config)

    def copied(self, run: Run, path: Path, *versions: str) -> Workspace:
        """Another workspace: a copy of all that this run and later ones left, with only these versions in production.

        Args:
          run: of this workspace.
          path: of the new workspace.
          *versions: names of folders in `serving`.
        """
        folder = path / "workspace" / run.folder.name
        shutil.copytree(run.folder, folder)
        for child in (folder / "serving").iterdir():
            if child.name not in versions:
                shutil.rmtree(child) if child.is_dir() else child.unlink()
        return Workspace(path, self.backbone)

    def ended(self, exit_code: int, terminal: Path, config: Path) -> Run:
        folder = self.path / "workspace" / yaml.safe_load(config.read_text(encoding="utf-8"))["name"]
        file = folder / "summary.json"
        summary = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
        return Run(exit_code, terminal.read_text(encoding="utf-8"), folder, summary)


def _main(arguments: Sequence[str], terminal: Path, sources: Path | None) -> None:
    file = os.open(terminal, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    if sources:
        code_digest.ROOT = sources
    sys.exit(cli.main(arguments))


@pytest.fixture(scope="session")
def regraft() -> Callable[..., Result]:
    """Runs a short command of `regraft` in this process."""
    return lambda *arguments: CliRunner().invoke(commands.main, list(map(str, arguments)))


@pytest.fixture(scope="session")
def workspace(tmp_path_factory) -> Workspace:
    folder = tmp_path_factory.mktemp("workspace")
    return Workspace(folder, small_backbone.write(folder / "backbone.keras"))


@pytest.fixture(scope="session")
def colours(tmp_path_factory) -> Path:
    """120 noisy images in three flat colours."""
    return colour_tree(tmp_path_factory.mktemp("data") / "colours", per_class=40)


@pytest.fixture(scope="session")
def first_run(workspace, colours) -> Run:
    """A run to a pushed model, which the later ones find in production and in the cache."""
    run = workspace.run(workspace.configure(colours))
    assert run.exit_code == 0, run.output
    return run
