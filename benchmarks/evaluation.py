"""What Evaluator costs against plain predictions: `python -m benchmarks.evaluation`.

The two run in turn, each in its own process, and answer the same test images with the same SavedModel. The benchmark
compares their CPU time after the libraries are imported, from the loading of the model to the end. Evaluator does more:
it measures, slices and validates.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import harness, processes
from benchmarks.training import CASES

_BATCH = 32
_CASE = CASES["lite0-conv-10"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1484, help="number of photos; 8 of 10 are evaluated")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--measure", choices=_SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        sys.stdout.write(f"\n{json.dumps(_cpu_seconds(_SIDES[options.measure](options.folder)))}\n")
        return
    with tempfile.TemporaryDirectory() as folder:
        _compare(Path(folder), options.images, options.rounds)


def _compare(folder: Path, images: int, rounds: int) -> None:
    config = harness.configuration(harness.photos(folder, images), _CASE.backbone, _CASE.head, (2, 0))
    config["data"]["splits"] = {"train": 1, "eval": 1, "test": 8}
    harness.pipeline(config, folder, folder / "workspace")
    run = folder / "workspace" / config["name"]
    seconds: dict[str, list[float]] = {side: [] for side in _SIDES}
    for _ in harness.rounds(rounds):
        for side, measured in seconds.items():
            output = processes.run("benchmarks.evaluation", "--measure", side, "--folder", run)
            measured.append(json.loads(output.splitlines()[-1]))
    evaluated = json.loads((run / "summary.json").read_text(encoding="utf-8"))["test"]["examples"]
    ratios = [ours / plain for ours, plain in zip(seconds["evaluator"], seconds["plain"], strict=True)]
    sys.stdout.write(
        f"{evaluated} test images, {rounds} rounds: Evaluator {statistics.median(seconds['evaluator']):.1f} s of CPU, "
        f"plain predictions {statistics.median(seconds['plain']):.1f} s, ratio {statistics.median(ratios):.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f})\n"
    )


def _cpu_seconds(work: Callable[[], None]) -> float:
    before = resource.getrusage(resource.RUSAGE_SELF)
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _newest(run: Path, stage: str, output: str) -> Path:
    return max((run / "artifacts" / stage / output).iterdir(), key=lambda path: int(path.name))


def _evaluator(run: Path) -> Callable[[], None]:
    from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
    from tfx.types import standard_artifacts

    from components.evaluator import executor
    from config.beam import BeamConfig
    from config.gate import GateConfig

    def artifact(kind: type, path: str | Path, **properties: int) -> Any:
        made = kind()
        made.uri = str(path)
        for name, value in properties.items():
            made.set_int_custom_property(name, value)
        return made

    scratch = Path(tempfile.mkdtemp(dir=run))
    for name in ("evaluation", "blessing"):
        (scratch / name).mkdir()
    examples = artifact(standard_artifacts.Examples, _newest(run, "ImageExampleGen", "examples"))
    examples.split_names = '["train", "eval", "test"]'
    inputs = {
        "examples": [examples],
        "model": [artifact(standard_artifacts.Model, _newest(run, "Trainer", "model"))],
        "baseline_model": [artifact(standard_artifacts.Model, scratch, absent=1)],
    }
    outputs = {
        "evaluation": [artifact(standard_artifacts.ModelEvaluation, scratch / "evaluation")],
        "blessing": [artifact(standard_artifacts.ModelBlessing, scratch / "blessing")],
    }
    exec_properties = {"gate": GateConfig().serialized(), "example_splits": '["test"]'}
    context = BaseBeamExecutor.Context(beam_pipeline_args=list(BeamConfig().arguments()), tmp_dir=str(scratch))
    return lambda: executor.Executor(context).Do(inputs, outputs, exec_properties)


def _plain(run: Path) -> Callable[[], None]:
    import tensorflow as tf
    from tfx.utils import path_utils

    def work() -> None:
        model = tf.saved_model.load(path_utils.serving_model_path(str(_newest(run, "Trainer", "model"))))
        serve = model.signatures["serving_default"]
        files = tf.io.gfile.glob(f"{_newest(run, 'ImageExampleGen', 'examples')}/Split-test/*")
        for batch in tf.data.TFRecordDataset(files, "GZIP").batch(_BATCH):
            serve(examples=batch)["probabilities"].numpy()

    return work


_SIDES = {"evaluator": _evaluator, "plain": _plain}


if __name__ == "__main__":
    main()
