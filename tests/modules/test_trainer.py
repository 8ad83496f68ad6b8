import copy
import json
import logging
import types
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from modules import callbacks, trainer

CONFIG = {
    "backbone": {"name": "EfficientNetLite0", "image_size": 96, "weights": "bundled"},
    "head": {"kind": "conv", "filters": [8], "dropout": 0.2},
    "training": {
        "seed": 3,
        "batch_size": 5,
        "patience": 2,
        "head": {"epochs": 3, "learning_rate": 1e-2},
        "fine_tune": {"epochs": 2, "learning_rate": 1e-5, "layers": 10},
    },
}


def run(transform_output, example_files, folder: Path, **training: object) -> list[dict]:
    """Trains as TFX would call it; gives the history."""
    config = copy.deepcopy(CONFIG)
    config["training"].update(training)
    trainer.run_fn(
        types.SimpleNamespace(
            custom_config=config,
            train_files=[example_files["train"]],
            eval_files=[example_files["eval"]],
            transform_output=transform_output.transform_savedmodel_dir.removesuffix("/transform_fn"),
            serving_model_dir=str(folder / "Format-Serving"),
            model_run_dir=str(folder / "run"),
        )
    )
    return json.loads((folder / "run" / "history.json").read_text())


@pytest.fixture(scope="module")
def first(transform_output, example_files, tmp_path_factory) -> tuple[list[dict], Path]:
    folder = tmp_path_factory.mktemp("first")
    return run(transform_output, example_files, folder), folder


def test_phase_two_goes_on_counting_epochs_and_trains_more(first):
    (head, fine_tune), _ = first
    assert (head["phase"], fine_tune["phase"]) == ("head", "fine_tune")
    assert head["first_epoch"] == 1
    assert fine_tune["first_epoch"] == len(head["epochs"]) + 1
    assert (head["learning_rate"], fine_tune["learning_rate"]) == (1e-2, 1e-5)
    assert fine_tune["trainable_weights"] > head["trainable_weights"] > 0


def test_the_model_and_tensorboards_logs_are_written(first):
    _, folder = first
    model = tf.saved_model.load(str(folder / "Format-Serving"))
    assert set(model.signatures) == {"serving_default", "serve_images", "class_names", "true_labels"}
    assert list((folder / "run").rglob("events.out.tfevents*"))


def test_a_seed_makes_two_runs_agree_and_another_does_not(first, transform_output, example_files, tmp_path):
    history, folder = first
    again = run(transform_output, example_files, tmp_path / "again")
    assert again == history
    image = tf.constant([next(iter(tf.data.TFRecordDataset(tf.io.gfile.glob(example_files["eval"]), "GZIP"))).numpy()])
    answers = [
        tf.saved_model.load(str(f / "Format-Serving")).signatures["serving_default"](image)["probabilities"].numpy()
        for f in (folder, tmp_path / "again")
    ]
    assert (answers[0] == answers[1]).all()
    assert run(transform_output, example_files, tmp_path / "other", seed=4) != history


def test_fine_tuning_can_be_skipped(transform_output, example_files, tmp_path):
    history = run(transform_output, example_files, tmp_path, fine_tune=None)
    assert [record["phase"] for record in history] == ["head"]


def test_a_phase_that_no_longer_helps_stops_early_with_its_best_weights(transform_output, example_files, tmp_path):
    rising = {"epochs": 9, "learning_rate": 3.0}
    (head,) = run(transform_output, example_files, tmp_path, head=rising, fine_tune=None, patience=1)
    losses = [epoch["val_loss"] for epoch in head["epochs"]]
    assert len(losses) < 9 and losses[-1] > min(losses)
    signatures = tf.saved_model.load(str(tmp_path / "Format-Serving")).signatures
    records = tf.data.TFRecordDataset(tf.io.gfile.glob(example_files["eval"]), "GZIP")
    examples = tf.constant(list(records.as_numpy_iterator()))
    probabilities = signatures["serving_default"](examples)["probabilities"].numpy()
    labels = signatures["true_labels"](examples)["label"].numpy()
    loss = -np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-7)).mean()
    np.testing.assert_allclose(loss, min(losses), rtol=1e-3)


def test_a_loss_that_is_no_number_stops_the_run_and_names_step_and_rate(transform_output, example_files, tmp_path):
    with pytest.raises(
        callbacks.NonFiniteLossError, match=r"phase 'head', epoch \d+, step \d+, at learning rate 1e\+30"
    ):
        run(transform_output, example_files, tmp_path, head={"epochs": 9, "learning_rate": 1e30})
    assert not (tmp_path / "Format-Serving").exists()


def test_progress_is_told_an_epoch_a_line(transform_output, example_files, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "regraft"):
        run(transform_output, example_files, tmp_path, fine_tune=None)
    lines = [record.getMessage().strip() for record in caplog.records if "epoch" in record.getMessage()]
    assert [line.split(":")[0] for line in lines] == [f"head epoch {n}/3" for n in (1, 2, 3)]
    assert lines[-1].endswith(" 0 s left")


def test_an_empty_split_is_named(transform_output, example_files, tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "none.gz"), "GZIP"):
        pass
    with pytest.raises(trainer.TrainingError, match=r"no examples in .*none\.gz"):
        run(transform_output, {**example_files, "eval": str(tmp_path / "none.gz")}, tmp_path)
