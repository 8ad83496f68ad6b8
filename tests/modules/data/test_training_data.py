"""Training on kept activations gives what training on images gives."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from examples import raw_examples
from kept import keep, recipe
from training import Killed, classifier_config, fn_args_of, run

from modules import trainer
from modules.data import trunk_features
from modules.data.input_pipeline import Split
from modules.data.training_data import IncompleteSplitError
from modules.serving import heat_maps
from modules.training import callbacks, training_state

BACKBONE = {"image_size": 96}


@pytest.mark.parametrize(
    ("change", "memory_gib"),
    [
        ({}, 1.0),
        ({}, 1e-6),
        ({"layers": None, "pooling": "average"}, 1.0),
        ({"backbone": {**BACKBONE, "weights": "none"}}, 1.0),
    ],
)
def test_the_model_trained_on_features_serves_images_alike(
    transform_output, example_files, tmp_path, change, memory_gib
):
    """float16 keeps 11 bits, so the loss on eval that training saw is the served model's to about a thousandth."""
    kept = recipe(**change)
    patterns = keep(kept, transform_output, example_files, tmp_path / "features")
    training = {"fine_tune": None} if kept.layers is None else {}
    config = classifier_config(
        backbone=kept.backbone.model_dump(),
        head={"kind": "dense"},
        training=training,
        trunk_features={"memory_gib": memory_gib},
    )
    history = run(transform_output, example_files, tmp_path, config, more=patterns)
    whole = json.loads((tmp_path / "run" / "history.json").read_text())
    assert whole["mode"] == "cached" and whole["pooled"] == (kept.layers is None)
    best = [record["eval_loss"] for record in history if not record["rolled_back"]][-1]
    signatures = tf.saved_model.load(str(tmp_path / "Format-Serving")).signatures
    examples = tf.constant(raw_examples(example_files, "eval"))
    answers = signatures["serving_default"](examples)
    if kept.backbone.weights != "none":  # random weights give features near zero, whose distances are rounding
        assert 0 < answers["novelty"].numpy().max() <= 0.501, "the distance is of the features that are served"
    probabilities = answers["probabilities"].numpy()
    labels = signatures["true_labels"](examples)["label"].numpy()
    loss = -np.log(probabilities[np.arange(len(labels)), labels]).mean()
    np.testing.assert_allclose(loss, best, rtol=2e-3)


@pytest.mark.parametrize("change", [{}, {"layers": None, "pooling": "average"}])
def test_the_temperature_is_that_of_the_images(transform_output, example_files, tmp_path, monkeypatch, change):
    monkeypatch.setattr(heat_maps, "of", lambda *_, **__: None)  # they take seconds, and do not matter here
    patterns = keep(recipe(dtype="float32", **change), transform_output, example_files, tmp_path / "features")
    training = {"calibration": "auto", **({"fine_tune": None} if change else {})}
    config = classifier_config(head={"kind": "dense"}, training=training).model_copy(update={"novelty": None})
    begun = trainer.TrainingRun(fn_args_of(transform_output, example_files, tmp_path, config, more=patterns))
    trained = begun.fit()
    with monkeypatch.context() as patch:
        patch.setattr(Split, "evaluation", None)  # no image is decoded
        _, _, kept = begun._served(trained.classifier)
    begun.data = dataclasses.replace(begun.data, features=None)
    _, _, decoded = begun._served(trained.classifier)
    assert abs(np.log(decoded)) > 0.01
    assert kept == pytest.approx(decoded, rel=1e-3)


def test_training_on_features_and_on_images_begin_alike_and_end_alike(transform_output, example_files, tmp_path):
    """With float32 and one batch an epoch, the first epoch's loss differs by the order of sums alone."""
    patterns = keep(recipe(dtype="float32"), transform_output, example_files, tmp_path / "features")
    config = classifier_config(head={"dropout": 0.0}, training={"batch_size": 12})
    on_features = run(transform_output, example_files, tmp_path / "1", config, more=patterns)
    on_images = run(transform_output, example_files, tmp_path / "2", config)
    for ours, theirs in zip(on_features, on_images, strict=True):
        assert ours["trainable_weights"] == theirs["trainable_weights"]
        np.testing.assert_allclose(ours["epochs"][0]["loss"], theirs["epochs"][0]["loss"], rtol=1e-3)
    assert on_features[-1]["epochs"][-1]["accuracy"] == on_images[-1]["epochs"][-1]["accuracy"]


def test_features_of_other_weights_are_refused(transform_output, example_files, tmp_path):
    other = recipe(backbone={**BACKBONE, "weights": "none"})
    patterns = keep(other, transform_output, example_files, tmp_path / "features")
    with pytest.raises(trunk_features.OtherWeightsError, match="were computed with other weights than the backbone"):
        run(transform_output, example_files, tmp_path, classifier_config(), more=patterns)


@pytest.mark.parametrize("lost", ["train", "eval"])
def test_a_split_that_lost_an_example_is_refused(transform_output, example_files, tmp_path, lost):
    written = {"train": 12, "eval": 6, "test": 9}
    written[lost] += 1
    fn_args = fn_args_of(transform_output, example_files, tmp_path, classifier_config())
    fn_args.custom_config["images"] = written
    with pytest.raises(IncompleteSplitError, match=f"split {lost}: {written[lost]} examples were written, and "):
        trainer.run_fn(fn_args)


def test_a_training_on_features_that_is_killed_ends_as_if_it_had_not_been(
    transform_output, example_files, tmp_path, monkeypatch
):
    patterns = keep(
        recipe(views=2, augmentation={"rotation": 30.0}, seed=3), transform_output, example_files, tmp_path / "features"
    )
    config = classifier_config(augmentation={"rotation": 30.0})
    history = run(transform_output, example_files, tmp_path / "whole", config, more=patterns)
    assert (tmp_path / "whole" / "run" / "augmentation.png").is_file()
    state = tmp_path / "state"
    monkeypatch.setattr(training_state, "SAVING_SHARE", 1.0)
    log = callbacks.log_epoch

    def killing(phase, epoch, last_epoch, *rest):
        if (phase, epoch) == ("fine_tune", 4):
            raise Killed
        log(phase, epoch, last_epoch, *rest)

    monkeypatch.setattr(callbacks, "log_epoch", killing)
    with pytest.raises(Killed):
        run(transform_output, example_files, tmp_path / "killed", config, patterns, state)
    monkeypatch.setattr(callbacks, "log_epoch", log)
    assert run(transform_output, example_files, tmp_path / "killed", config, patterns, state) == history
