"""What a run costs whatever its data: `python -m benchmarks.overhead`.

Tiny images, one epoch of each phase. Each round is a first run and the same command again, whose stages all come from
the cache, each in a process of its own. Medians over the rounds are printed. A last run is profiled: what of each
stage, and of what lies before and behind the stages, goes into imports, Beam's graphs, traces and the like.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import yaml
from PIL import Image

from benchmarks import processes
from config import garbage_collection

_COLOURS = {"red": (200, 40, 40), "green": (40, 180, 60), "blue": (40, 60, 200)}
_SIDE = 48  # pixels
_OUTSIDE = "outside the stages"
_FIELDS = ("wall", "cpu", "first_line")  # of Cost

# What a profile is searched for: a function's file and name. The time of nested ones counts in both.
_KINDS = {
    "imports": ("<frozen importlib._bootstrap>", "_find_and_load"),
    "Beam: building": ("apache_beam/pipeline.py", "apply"),
    "Beam: running": ("apache_beam/runners/portability/fn_api_runner/fn_runner.py", "run_pipeline"),
    "tracing": ("tensorflow/python/eager/polymorphic_function/tracing_compilation.py", "trace_function"),
    "loading": ("tensorflow/python/saved_model/load.py", "load_partial"),
    "saving": ("tensorflow/python/saved_model/save.py", "save_and_return_nodes"),
    "ML Metadata": ("ml_metadata/metadata_store/metadata_store.py", "_call"),
    "other processes": ("subprocess.py", "communicate"),
    "report": ("pipeline/report/writing.py", "write"),
}


@dataclass(frozen=True)
class Cost:
    """What one command cost.

    Attributes:
      wall: seconds.
      cpu: CPU seconds of the command and its processes.
      first_line: seconds until it printed something.
      output: what it printed.
    """

    wall: float
    cpu: float
    first_line: float
    output: str

    @property
    def stages(self) -> dict[str, float]:
        """Seconds of each stage that was not cached."""
        found = re.findall(r"^(\w+) +(\d+\.\d) s$", self.output, re.MULTILINE)
        return {name: float(seconds) for name, seconds in found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profiled", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("command", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.profiled:
        _profile(options.profiled, options.command)
        return
    with tempfile.TemporaryDirectory() as folder:
        config = _configuration(Path(folder), options.images)
        pairs = [_round(config, Path(folder, f"workspace-{number}")) for number in range(options.rounds)]
        profile = _profiled(config, Path(folder))
    print(f"{options.images} images, medians of {options.rounds} rounds")
    for name, costs in (("first run", [first for first, _ in pairs]), ("all cached", [again for _, again in pairs])):
        wall, cpu, line = (statistics.median(getattr(cost, field) for cost in costs) for field in _FIELDS)
        print(f"{name}: {wall:.1f} s, {cpu:.1f} CPU s; the first line after {line:.2f} s")
    for stage in pairs[0][0].stages:
        print(f"  {stage:17} {statistics.median(first.stages[stage] for first, _ in pairs):6.1f} s")
    print("\n" + _table(profile))


def _configuration(folder: Path, images: int) -> Path:
    random = np.random.default_rng(0)
    for number in range(images):
        name = list(_COLOURS)[number % len(_COLOURS)]
        pixels = random.normal(_COLOURS[name], 40, (_SIDE, _SIDE, 3)).clip(0, 255).astype(np.uint8)
        file = folder / "images" / name / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)
    content = {
        "name": "tiny",
        "data": {"path": str(folder / "images")},
        "training": {"head": {"epochs": 1}, "fine_tune": {"epochs": 1}},
        "gate": {"min_accuracy": 0.0, "min_test_examples": 1},
    }
    config = folder / "tiny.yaml"
    config.write_text(yaml.safe_dump(content), encoding="utf-8")
    return config


def _round(config: Path, workspace: Path) -> tuple[Cost, Cost]:
    command = [sys.executable, "-m", "regraft", "run", str(config), "--workspace", str(workspace)]
    first, again = _cost(command), _cost(command)
    if again.stages:
        raise SystemExit(f"not every stage came from the cache:\n{again.output}")
    return first, again


def _cost(command: list[str]) -> Cost:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    first_line = time.monotonic() - start
    output = line + process.stdout.read()
    if process.wait():
        raise SystemExit(f"{' '.join(command[1:])} ended with {process.returncode}:\n{output}")
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall, cpu, first_line, output)


def _profiled(config: Path, folder: Path) -> dict[str, dict[str, float]]:
    """Part of a run to kind to seconds."""
    found = folder / "profile.json"
    command = ("run", config, "--workspace", folder / "workspace-profiled")
    processes.run("benchmarks.overhead", "--profiled", found, "--", *command)
    content: dict[str, dict[str, float]] = json.loads(found.read_text(encoding="utf-8"))
    return content


def _profile(found: Path, command: list[str]) -> None:
    """Runs the command in this process with a profile of each stage and one of the rest, and writes the seconds."""
    outside = cProfile.Profile()
    outside.enable()
    from regraft import cli

    with garbage_collection.paused_for_imports():  # as the command does
        from pipeline.stage_runner import LocalRunner

    profiles, run_stage = {_OUTSIDE: outside}, LocalRunner._run_stage

    def profiled(runner: Any, pipeline: Any, node: Any, run_id: str) -> None:
        outside.disable()
        try:
            with cProfile.Profile() as profiles[node.node_info.id]:
                run_stage(runner, pipeline, node, run_id)
        finally:
            outside.enable()

    try:
        with mock.patch.object(LocalRunner, "_run_stage", profiled):
            cli.main(command)
    except SystemExit as ended:
        if ended.code:
            raise
    outside.disable()
    found.write_text(json.dumps({name: _kinds(profile) for name, profile in profiles.items()}), encoding="utf-8")


def _kinds(profile: cProfile.Profile) -> dict[str, float]:
    stats: Any = pstats.Stats(profile)
    seconds = dict.fromkeys(_KINDS, 0.0)
    for (file, _, name), (_, _, _, cumulative, _) in stats.stats.items():
        for kind, (end, function) in _KINDS.items():
            if name == function and file.endswith(end):
                seconds[kind] += cumulative
    return {"whole": stats.total_tt, **seconds}


def _table(profile: dict[str, dict[str, float]]) -> str:
    """The profile as a Markdown table."""
    kinds = ["whole", *_KINDS]
    lines = [f"| profiled seconds | {' | '.join(kinds)} |", "|---" * (len(kinds) + 1) + "|"]
    for part, seconds in profile.items():
        cells = (f"{seconds[kind]:.1f}" if seconds[kind] >= 0.05 else "" for kind in kinds)
        lines.append(f"| {part} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
