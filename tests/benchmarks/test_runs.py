"""Benchmarks that need a run of the pipeline; one run serves all."""

import json
import re
import shutil

import pytest

from benchmarks import evaluation, harness, stress
from components.evaluator.stress.corruptions import CORRUPTIONS

pytestmark = pytest.mark.slow


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
    assert ratio == lowest == highest


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
