"""Benchmarks that need a run of the pipeline; one run serves all."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import benchmarking
import pytest

from benchmarks import evaluation, harness, processes, stress, training
from benchmarks.training import Case
from components.evaluator.stress.corruptions import CORRUPTIONS

pytestmark = pytest.mark.slow


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


@pytest.fixture(scope="module")
def trained(tmp_path_factory, small, photos) -> Training:
    """One round of benchmarks/training.py, with a pipeline whose gate refuses the model: it has few test images."""
    folder = tmp_path_factory.mktemp("kept")
    configuration, pipeline, in_splits = harness.configuration, harness.pipeline, harness.in_splits

    def less_to_do(*arguments: Any, **options: Any) -> dict[str, Any]:
        return {**configuration(*arguments, **options), "label_check": None, "novelty": None}

    def keep_run(config: dict[str, Any], temporary: Path, workspace: Path) -> harness.Result:
        result = pipeline(config, temporary, workspace)
        shutil.copytree(workspace / config["name"], folder / "run")
        return result

    def keep_splits(images: Path, temporary: Path) -> Path:
        in_splits(images, temporary)
        shutil.copytree(temporary, folder / "splits")
        return temporary

    output = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(output):
        patch.setattr(harness, "PHOTOS", photos)
        patch.setattr(processes, "run", benchmarking.run)
        patch.setattr(harness, "configuration", less_to_do)
        patch.setattr(harness, "pipeline", keep_run)
        patch.setattr(harness, "in_splits", keep_splits)
        head = {"kind": "conv", "filters": [8], "dropout": 0.1}
        patch.setattr(training, "CASES", {"small": Case(small, head, (2, 2))})
        patch.setattr(sys, "argv", ["training", "--rounds", "1", "--images", "60"])
        training.main()
    return Training(output.getvalue(), folder / "run", folder / "splits")


def numbers(text, pattern):
    """The numbers in the first line that begins with a name."""
    (line,) = (line for line in text.splitlines() if line.strip().startswith(pattern))
    return [float(number) for number in re.findall(r"\d+\.\d+", line)]


def test_training_compares_both_sides_even_if_the_gate_refuses_the_model(trained):
    for figure in ("training", "whole"):
        ours, plain, ratio, *_ = numbers(trained.output, figure)
        assert ours > 0 and plain > 0
        assert ratio == pytest.approx(plain / ours, rel=0.1)
    assert len(numbers(trained.output, "head")) == len(numbers(trained.output, "fine_tune")) == 2
    accuracies = numbers(trained.output, "accuracy")
    assert len(accuracies) == 6
    assert all(6 * accuracy == pytest.approx(round(6 * accuracy), abs=0.001) for accuracy in accuracies), "of 6 images"
    assert "refused candidates in 1 of 1 rounds" in trained.output
    assert "TrunkFeatures" in trained.output and "Trainer" in trained.output


def test_pipeline_and_script_have_the_same_splits(trained):
    summary = json.loads((trained.run / "summary.json").read_text())
    folders = {split: len(list((trained.splits / split).rglob("*.jpg"))) for split in harness.SPLITS}
    assert sum(folders.values()) == 60
    assert folders["test"] == summary["test"]["examples"] == 6


def test_evaluation_compares_evaluator_with_plain_predictions(trained, run_main, forked, photos, monkeypatch):
    def pipeline(config, folder, workspace):
        shutil.copytree(trained.run, workspace / config["name"])

    monkeypatch.setattr(harness, "PHOTOS", photos)
    monkeypatch.setattr(harness, "pipeline", pipeline)
    output = run_main(evaluation.main, "--images", 60, "--rounds", 1)
    ours, plain, ratio, lowest, highest = numbers(output, "6 test images, 1 rounds")
    assert ours > 0 and plain > 0
    assert ratio == lowest == highest == pytest.approx(ours / plain, rel=0.05)


def test_severities_have_the_accuracy_under_each_corruption(trained, capsys):
    (model,) = (trained.run / "artifacts" / "Trainer" / "model").glob("*/Format-Serving")
    (split,) = (trained.run / "artifacts" / "ImageExampleGen" / "examples").glob("*/Split-test")
    stress.main(["severities", str(model), str(split), "--images", "6", "--severities", "5"])
    output = capsys.readouterr().out
    (row,) = (line for line in output.splitlines() if line.startswith("| 5 |"))
    shares = [float(cell) for cell in row.split("|")[2:-2]]
    assert len(shares) == len(CORRUPTIONS) + 2
    assert all(0 <= share <= 100 for share in shares)
    assert "6 images" in output
