import argparse
import json
import math

import benchmarking
import numpy as np
import pytest

from benchmarks import accuracy, methods, results, trial
from benchmarks.subsets import Draw

MEASURED = {
    "accuracy": 0.9,
    "balanced_accuracy": 0.9,
    "log_loss": 0.3,
    "calibration_error": 0.02,
    "images": 8,
    "training": 10.0,
    "whole": 20.0,
    "cpu": 30.0,
    "peak_gib": 1.0,
    "rolled_back": None,
}


@pytest.fixture
def ran(monkeypatch):
    """The methods that were trained, without training any; `broken` fails."""
    names = []

    def run(name, overlay, splits, seed):
        if name == "broken":
            raise SystemExit("it failed")
        names.append(name)
        return dict(MEASURED)

    monkeypatch.setattr(accuracy, "_run", run)
    monkeypatch.setattr(accuracy.subsets, "draw", lambda folder, wanted: {})
    return names


def measure(file, chosen, overlays=None, seed=0):
    case = accuracy._Case("drawn", file.parent, Draw(seed, 20, 1.0, 100))
    accuracy._measure(case, chosen, overlays or methods.OVERLAYS, file)


def test_an_interrupted_benchmark_continues(ran, tmp_path):
    file = tmp_path / "results.jsonl"
    with pytest.raises(SystemExit, match="it failed"):
        measure(file, ["logistic", "broken", "plain"])
    with file.open("a") as lines:
        lines.write('{"data": "drawn", "per_cl')  # it was killed while it wrote
    measure(file, ["logistic", "plain"])
    measure(file, ["logistic", "plain"], seed=1)
    assert ran == ["logistic", "plain", "logistic", "plain"]
    assert [json.loads(line)["seed"] for line in file.read_text().splitlines()] == [0, 0, 1, 1]


def test_a_changed_overlay_is_measured_again(ran, tmp_path):
    file = tmp_path / "results.jsonl"
    for epochs in (5, 6, 5):
        measure(file, ["mine"], {"mine": {"training": {"head": {"epochs": epochs}}}})
    assert ran == ["mine", "mine"]


def test_tables_show_mean_spread_and_errors_relative_to_the_same_seeds(tmp_path):
    def result(method, seed, value, rolled_back=None, per_class=20):
        named = accuracy._Case("drawn", tmp_path, Draw(seed, per_class)).result(method, None)
        return {**named, **MEASURED, "accuracy": value, "rolled_back": rolled_back}

    measured = [result("good", seed, value, seed == 1) for seed, value in ((0, 0.9), (1, 0.95), (2, 0.4))]
    measured += [result("logistic", seed, value) for seed, value in ((0, 0.8), (1, 0.9))]
    table = results.tables([*measured, result("plain", 0, 0.5, per_class=100)])
    assert "| logistic | 2 | 85.0 ± 7.1 % | 1.00 |" in table
    assert "| good | 3 | 75.0 ± 30.4 % | 0.50 |" in table
    assert "| 1 of 3 |" in table
    assert table.index("| logistic |") < table.index("| good |"), "in the order of the methods, not of the trials"
    assert table.count("**drawn**") == 2, "one table per case"


def test_answers_are_scored_by_the_names_of_the_classes(tmp_path):
    test = tmp_path / "test"
    for name in ("a", "b"):
        (test / name).mkdir(parents=True)
        (test / name / "1.png").touch()
    answers = np.array([[0.1, 0.9], [0.8, 0.2]])
    trial.save(tmp_path, ["b", "a"], answers, trial.Costs(1.0, 2.0, 3.0, 0.5))
    labels, probabilities, costs = trial.load(tmp_path, test)
    assert labels.tolist() == [1, 0]
    assert (probabilities == answers).all()
    assert costs == trial.Costs(1.0, 2.0, 3.0, 0.5, None)


def test_a_missing_answer_is_an_error(tmp_path):
    (tmp_path / "test" / "a").mkdir(parents=True)
    (tmp_path / "test" / "a" / "1.png").touch()
    trial.save(tmp_path, ["a"], np.zeros((0, 1)), trial.Costs(1.0, 2.0, 3.0, 0.5))
    with pytest.raises(ValueError, match="0 answers for 1 test images"):
        trial.load(tmp_path, tmp_path / "test")


def test_an_overlay_wins_over_what_all_methods_share(tmp_path):
    made = methods.configuration({"training": {"batch_size": 8}, "backbone": {"image_size": 224}}, tmp_path, seed=4)
    assert made["training"] == {"seed": 4, "batch_size": 8}
    assert made["backbone"] == {**methods.BACKBONE, "image_size": 224}


@pytest.mark.parametrize("text", ["good=file.yaml", "file.yaml", "mine=missing.yaml"])
def test_a_wrong_method_of_ones_own_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match=r"NAME=FILE|cannot be read"):
        accuracy._overlay(text)


@pytest.mark.slow
def test_each_method_has_a_row_in_the_table(run_main, forked, small, tmp_path, monkeypatch):
    monkeypatch.setattr(methods, "BACKBONE", small)
    for part, per_class in (("train", 12), ("test", 4)):
        benchmarking.photos(tmp_path / "colours" / part, per_class)
    training = {"batch_size": 32, "head": {"epochs": 2, "learning_rate": 1e-2}, "fine_tune": None}
    monkeypatch.setitem(methods._PLAIN, "training", training)
    file = tmp_path / "results.jsonl"
    wanted = ("--data", tmp_path / "colours", "--per-class", 9, "--test-images", 6, "--seeds", 1, "--results", file)
    output = run_main(accuracy.main, *wanted, "--methods", "logistic", "plain", "fast")
    table = benchmarking.rows(output)
    results_of = {result["method"]: result for result in map(json.loads, file.read_text().splitlines())}
    assert list(results_of) == ["logistic", "plain", "fast"]
    for name, result in results_of.items():
        assert name in table
        assert result["images"] == 6 and result["training_images"] + result["eval_images"] == 27
        assert 0 < result["training"] < result["whole"] and result["cpu"] > 0 and result["peak_gib"] > 0
        assert math.isfinite(result["log_loss"])
    assert results_of["logistic"]["accuracy"] == results_of["fast"]["accuracy"] == 1, "three flat colours"
    again = run_main(accuracy.main, *wanted, "--methods", "logistic")
    assert again == output[output.index("**") :], "what was measured is not measured again"
