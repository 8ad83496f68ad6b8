"""The demo on a real cluster, and the commands of its owner."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import namespaces
import pod
import pytest
import yaml
from real_cluster import RealCluster

from components.serving_directory import ServingDirectory

FILE = pod.CODE / "data" / "traffic_lights.yaml"
FEW_EPOCHS = ("--parameter", "head_epochs=2", "--parameter", "fine_tune_epochs=1")


def image() -> str:
    """The name of the image of all stages."""
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))["kubeflow"]["image"]


@dataclass
class Demo:
    """The demo on the cluster.

    Attributes:
      config: its YAML file: that of the repository but for the size of the pods and the place of the artifacts.
      photos: its folder, on the cluster's volume.
      serving: the push directory.
    """

    cluster: RealCluster
    config: Path
    photos: Path
    serving: ServingDirectory
    _started: list[Process] = field(default_factory=list)

    def start(self, command: str, *options: str, host: str = "", token: str = "") -> Process:
        """Starts `regraft kubeflow COMMAND` for it.

        Args:
          command: its name.
          *options: of the command.
          host: the address of Kubeflow Pipelines; empty: `cluster.kfp_url`.
          token: of the user; empty: none.
        """
        program = [sys.executable, "-m", "regraft", "kubeflow", command, str(self.config)]
        variables = {"KFP_TOKEN": token} if token else {}
        process = Process([*program, "--host", host or self.cluster.kfp_url, *options], variables)
        self._started.append(process)
        return process

    def close(self) -> None:
        """Ends the commands that still run, as after a failed test."""
        for process in self._started:
            process.kill()

    def run(self, command: str, *options: str, host: str = "", token: str = "") -> Process:
        """As `start`; waits for the end of the command."""
        process = self.start(command, *options, host=host, token=token)
        process.wait()
        return process


class Process:
    """A command that runs beside the test.

    Attributes:
      code: its exit code, at its end.
    """

    def __init__(self, command: list[str], variables: Mapping[str, str]) -> None:
        self._output = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115, it is read while the command runs
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("KFP_")}
        self._process = subprocess.Popen(
            [*namespaces.WITH_PARENT, *command],
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env={**inherited, **variables},
        )
        self.code: int | None = None

    @property
    def output(self) -> str:
        """What it has printed so far."""
        self._output.seek(0)
        return self._output.read()

    def wait(self, seconds: float = 900) -> int:
        """Waits for its end, and gives its exit code."""
        try:
            self.code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            pytest.fail(f"after {seconds:.0f} s, it still ran:\n{self.output}")
        return self.code

    def kill(self) -> None:
        """Ends it, if it still runs."""
        self._process.kill()
        self._process.wait()

    def has_ended(self) -> bool:
        return self._process.poll() is not None


def prepare(cluster: RealCluster, folder: Path) -> Demo:
    """Puts photos on the cluster's volume, and the configuration into a folder.

    They are a third of the demo's photos, but all of the smallest class.
    """
    photos = cluster.volume / "traffic_lights"
    runpy.run_path(str(FILE.with_name("prepare_traffic_lights.py")))["prepare"](photos)
    for label in ("green", "red"):
        for number, path in enumerate(sorted((photos / label).iterdir())):
            if number % 3:
                path.unlink()
    for path in (cluster.volume, *cluster.volume.rglob("*")):  # the pods run as another user
        path.chmod(0o777 if path.is_dir() else 0o666)
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    content["kubeflow"]["pipeline_root"] = "minio://mlpipeline/regraft"
    content["kubeflow"]["every_stage"] = {"memory": "6Gi"}
    content["kubeflow"]["stages"] = {"Trainer": {"shared_memory": "1Gi"}}
    content["kubeflow"]["schedule"] = {"cron": "* * * * *"}  # every minute
    config = folder / FILE.name
    config.write_text(yaml.safe_dump(content), encoding="utf-8")
    return Demo(cluster, config, photos, ServingDirectory(cluster.volume / "models" / "traffic-lights"))
