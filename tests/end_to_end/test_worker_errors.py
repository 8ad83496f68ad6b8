"""An error in Beam's worker processes ends a run as it does in this process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import beam_services
import failing
import flink_cluster
import pytest
import spark_server
import yaml
from drawing import colour_tree

from config.beam import BeamConfig
from pipeline import worker_errors

pytestmark = pytest.mark.slow

HELPERS = Path(failing.__file__).parent
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ended:
    """A run that has ended.

    Attributes:
      exit_code: of its process.
      output: what its terminal shows.
      lines: those after "loading TFX", without progress.
      log: its log file.
    """

    exit_code: int
    output: str
    lines: list[str]
    log: str


def run(folder: Path, workers: int, sabotage: str) -> Ended:
    photos = colour_tree(folder / "photos", per_class=10)
    config = folder / "run.yaml"
    content = {"name": "colours", "data": {"path": str(photos)}, "beam": {"workers": workers}}
    config.write_text(yaml.safe_dump(content), encoding="utf-8")
    command = [sys.executable, "-m", "pipeline.local_runner", "--config", config, "--workspace", folder / "workspace"]
    sabotaged = {"PYTHONPATH": f"{ROOT}:{HELPERS / 'sabotage'}", "SABOTAGE": sabotage and str(photos / sabotage)}
    done = subprocess.run(
        command,
        env={**os.environ, **sabotaged},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    (log,) = (folder / "workspace" / "colours" / "logs").iterdir()
    _, _, stages = done.stdout.partition("\nloading TFX\n")
    # A slow machine shows progress, too: lines that begin with spaces.
    lines = [line for line in stages.splitlines() if not line.startswith("  ")]
    return Ended(done.returncode, done.stdout, lines, log.read_text(encoding="utf-8"))


BAD_INPUT = (
    "cyan/3.png",
    2,
    "cyan/3.png: the file changed during the run; start the run again",
    "config.errors.BadInputError: cyan/3.png: the file changed during the run",
)
FULL_DISK = (
    "",
    1,
    "examples: the disk is full, or a quota is used up (SPACE free); free some space, and try again",
    "OSError: [Errno 28] No space left",
)


@pytest.mark.parametrize(
    ("workers", "sabotage", "exit_code", "line", "logged"), [(1, *BAD_INPUT), (2, *BAD_INPUT), (2, *FULL_DISK)]
)
def test_a_run_ends_with_one_line_and_its_log_has_the_traceback(tmp_path, workers, sabotage, exit_code, line, logged):
    ended = run(tmp_path, workers, sabotage)
    assert ended.exit_code == exit_code, ended.output
    shown = [re.sub(r"\(.* free\)", "(SPACE free)", shown) for shown in ended.lines]
    assert shown == [f"ImageExampleGen failed: {line}"], ended.output
    assert logged in ended.log and "Traceback (most recent call last):" in ended.log
    assert "ImageExampleGen failed" in ended.log
    assert ("RuntimeError: Traceback (most recent call last):" in ended.log) == (workers == 2)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("step", [failing.several_lines, failing.subclass, failing.after_bad_input])
def test_beams_own_error_is_read(monkeypatch, workers, step):
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{HELPERS}")
    message, bad_input = failing.EXPECTED[step]
    error = failing.caught(step, BeamConfig(workers=workers))
    assert worker_errors.failure(error) == worker_errors.Failure(message, bad_input)


@pytest.mark.beam
@pytest.mark.skipif(bool(beam_services.why_not()), reason=beam_services.why_not())
@pytest.mark.parametrize("cluster", ["flink", "spark"])
def test_a_clusters_error_is_read(tmp_path, cluster):
    running = flink_cluster.running if cluster == "flink" else spark_server.running
    with running(tmp_path / cluster) as started:
        error = failing.caught(failing.several_lines, started.beam if cluster == "flink" else started)
    assert "failed in state FAILED" in str(error)
    assert worker_errors.failure(error) == worker_errors.Failure(*failing.EXPECTED[failing.several_lines])


def test_a_run_ends_if_a_worker_process_is_killed(tmp_path):
    """As the kernel does when memory runs out."""
    ended = run(tmp_path, 2, "KILLED")
    assert ended.exit_code == 1, ended.output
    (line,) = ended.lines
    assert line.startswith("ImageExampleGen failed: pipeline.beam_runner.WorkerDiedError: a Beam worker process died (")
    assert line.endswith("if memory ran out, set beam.workers to fewer processes")
