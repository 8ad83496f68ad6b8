"""A search on the kept activations of a few images, as TFX would call it."""

from __future__ import annotations

import json
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawing import COLOURS
from examples import folder_of
from kept import keep, recipe
from training import SECTIONS, Killed, classifier_config, custom_config, run

from config import search_space
from config.classifier import ClassifierConfig
from config.tuner import TunerConfig
from modules import tuner
from modules.data import trunk_features
from modules.data.cached_features import FeatureTable
from modules.heads import HeadError
from modules.training import history
from modules.tuning import values
from modules.tuning.folds import Folds
from modules.tuning.rungs import Rung
from modules.tuning.trials import TrialRunner, log_losses

SPACE = {
    "head.kind": ["dense", "conv"],
    "training.head.learning_rate": [1e-2, 1e-3],
    "training.fine_tune.layers": [0, 4, 10],
}


@pytest.fixture(scope="module")
def patterns(transform_output, example_files, tmp_path_factory) -> dict[str, str]:
    return keep(recipe(), transform_output, example_files, tmp_path_factory.mktemp("kept") / "features")


@pytest.fixture
def search(transform_output, example_files, patterns, tmp_path):
    def make(state_directory: Path | None, **change: Any) -> tuner.Tuner:
        config = classifier_config(training={"head": {"epochs": 2}, "fine_tune": {"epochs": 1, "layers": 10}})
        more = {"tuner": TunerConfig(trials=5).serialized(), "space": SPACE, "layers": 10, **change}
        fn_args = types.SimpleNamespace(
            custom_config={**custom_config(config, state_directory), **more},
            train_files=[example_files["train"], patterns["train"]],
            eval_files=[example_files["eval"], patterns["eval"]],
            transform_graph_path=folder_of(transform_output),
            hyperparameters=None,
            working_dir=str(tmp_path / "working"),
        )
        return tuner.Tuner(fn_args)

    return make


def test_a_trials_score_does_not_depend_on_the_trials_before_it(search):
    change = {
        "tuner": TunerConfig(trials=2, cross_validate_below=0).serialized(),
        "space": {"head.kind": ["dense"], "training.head.learning_rate": [1e-2]},
    }
    whole = search(None, **change)
    whole.search()
    scores = {trial["trial"] - 1: trial["log_loss"] for trial in whole.results()["trials"]}
    assert len(scores) == 2 and 0 < min(scores.values()) < max(scores.values()) < 3
    alone = search(None, **change)
    config = search_space.applied(alone._config, alone._candidates[1])
    assert np.mean(alone._runner.losses(config, alone._plan[0])) == pytest.approx(scores[1], rel=1e-5)


def test_trials_with_fewer_views_share_nothing_with_those_of_all_views(transform_output, example_files, tmp_path):
    views = {"augmentation": {"brightness": 0.5}, "trunk_features": {"views": 3}}
    config = classifier_config(training={"head": {"epochs": 2}, "fine_tune": None}, head={"kind": "dense"}, **views)
    kept = recipe(views=3, augmentation=config.augmentation, seed=0)
    patterns = keep(kept, transform_output, example_files, tmp_path / "features")
    manifest = trunk_features.Manifest.read(str(tmp_path / "features"))
    tables = [FeatureTable.read([patterns[split]], manifest, 3, 2**30) for split in ("train", "eval")]
    folds = Folds(*tables, cross_validated=False, seed=0)
    rung = Rung(trials=1, share=1.0, folds=1)

    def scores(*drawn):
        runner = TrialRunner(config, list(COLOURS), manifest, 10, folds, 2**30)
        configs = [search_space.applied(config, {"trunk_features.drawn_views": n}) for n in drawn]
        return [np.mean(runner.losses(one, rung)) for one in configs]

    first, every = scores(1, 3)
    assert first != every
    assert scores(3, 1) == pytest.approx([every, first], rel=1e-5)


def losses_of(config: ClassifierConfig, rung: object) -> np.ndarray:
    """Stands for a training."""
    return np.array([1.0, 2.0]) + config.training.head.learning_rate + (1.0 if config.head.kind == "conv" else 0.0)


def test_a_search_that_was_killed_ends_with_the_same_result(search, tmp_path, monkeypatch):
    whole, killed = search(tmp_path / "whole"), search(tmp_path / "killed")
    monkeypatch.setattr(whole._runner, "losses", losses_of)
    whole.search()
    found = whole.results()
    states = [trial["state"] for trial in found["trials"]]
    assert (states.count("finished"), states.count("stopped")) == (2, 3)
    assert found["values"]["head.kind"] == "dense"

    calls = []

    def dies(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise Killed
        return losses_of(*arguments)

    monkeypatch.setattr(killed._runner, "losses", dies)
    with pytest.raises(Killed):
        killed.search()
    again = search(tmp_path / "killed")
    monkeypatch.setattr(again._runner, "losses", dies)
    again.search()
    assert len(calls) == 3 + 5 + 2 - 2
    assert without_times(again.results()) == without_times(found)
    again.discard()
    assert not list((tmp_path / "killed").iterdir())

    best = again.get_best_hyperparameters()[0].get_config()
    assert best["space"] == []  # with it, Trainer would train again after a search of other values
    assert values.decoded(json.loads(json.dumps(best))) == found["values"]


def without_times(found: dict[str, Any]) -> dict[str, Any]:
    return {**found, "trials": [{**trial, "seconds": 0} for trial in found["trials"]]}


def test_another_search_does_not_continue_this_one(search, tmp_path):
    first = search(tmp_path)
    assert first.project_dir == search(tmp_path).project_dir
    assert first.project_dir != search(tmp_path, space={**SPACE, "head.dropout": [0.1]}).project_dir


def test_an_error_in_a_trial_ends_the_search(search, monkeypatch):
    failing = search(None)

    def fails(*arguments):
        raise ZeroDivisionError

    monkeypatch.setattr(failing._runner, "losses", fails)
    with pytest.raises(ZeroDivisionError):
        failing.search()


def test_without_kept_activations_the_configuration_is_kept(search, patterns, monkeypatch, caplog):
    manifest = trunk_features.Manifest("pixels", "too large", "x", False, (1,), "float16", 1, "")
    monkeypatch.setattr(trunk_features.Manifest, "read", lambda folder: manifest)
    made = search(None)
    made.search()
    assert "nothing is searched" in caplog.text and "too large" in caplog.text
    found = made.results()
    assert found["values"] == {
        "head.kind": "conv",
        "training.head.learning_rate": 1e-3,
        "training.fine_tune.layers": 10,
    }
    assert [trial["state"] for trial in found["trials"]] == ["not run"]
    assert made.get_best_hyperparameters()[0].values["training.fine_tune.layers"] == 10


def test_a_head_that_cannot_be_built_is_refused_before_the_first_trial(search):
    with pytest.raises(HeadError, match="a conv head of kernel 9 needs a feature map"):
        search(None, space={"head.kernel": [9]})


def test_trainer_trains_with_what_was_found(transform_output, example_files, patterns, tmp_path):
    """With fewer layers than the cut has, the result is that of a cut at these layers."""
    tuned = {"head.kind": "dense", "training.fine_tune.layers": 4, "training.fine_tune.learning_rate": 1e-3}
    fine_tune = {**SECTIONS["training"]["fine_tune"], "layers": 4, "learning_rate": 1e-3}
    cut_at_4 = classifier_config(head={"kind": "dense"}, training={"fine_tune": fine_tune})
    kept = keep(recipe(layers=4, dtype="float32"), transform_output, example_files, tmp_path / "features")
    expected = run(transform_output, example_files, tmp_path / "expected", cut_at_4, kept)
    config, state = classifier_config(), {"values": values.encoded(tuned), "space": []}
    found = run(transform_output, example_files, tmp_path / "found", config, patterns, hyperparameters=state)
    assert history.read(str(tmp_path / "found" / "run"))["tuned"] == tuned
    assert [record["trainable_weights"] for record in found] == [record["trainable_weights"] for record in expected]
    for one, other in zip(found, expected, strict=True):
        assert one["eval_loss"] == pytest.approx(other["eval_loss"], rel=0.02)  # float16 has 11 bits


def test_a_phase_2_that_was_rolled_back_counts_as_phase_1(search):
    made = search(None)
    rung = Rung(trials=1, share=1.0, folds=1)
    losses = [
        made._runner.losses(search_space.applied(made._config, values), rung)
        for values in ({"training.fine_tune.learning_rate": 1e3}, {"training.fine_tune.layers": 0})
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_the_score_is_the_log_loss_of_what_is_served():
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    labels = np.eye(2)[[0, 0, 1, 1]]
    plain = -np.log([0.9, 0.8, 0.7, 0.4])
    assert log_losses(probabilities, labels, scaled=False) == pytest.approx(plain)
    scaled = log_losses(probabilities, labels, scaled=True)
    assert np.mean(scaled) < np.mean(plain) and not np.allclose(scaled, plain)
