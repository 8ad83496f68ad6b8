import json
import logging
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from examples import example
from tensorboard.backend.event_processing import event_accumulator
from training import Killed, classifier_config, fn_args_of, run

from modules.data import features, input_pipeline
from modules.serving import heat_maps
from modules.trainer import TrainingRun
from modules.training import callbacks, tensorboard, training_state


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
    assert set(model.signatures) == {"serving_default", "serve_images", "class_names", "true_labels", "explain"}
    check_curves(folder / "run", first[0])


def check_curves(model_run: Path, history: list[dict]) -> None:
    """One TensorBoard run with a readable name has one point per epoch of both phases, as the history has them."""
    (file,) = model_run.rglob("events.out.tfevents*")
    assert re.fullmatch(r"efficientnet_lite0-conv-\d{8}-\d{6}Z", file.parent.name) and file.parent.parent == model_run
    log = event_accumulator.EventAccumulator(str(file.parent), size_guidance={"tensors": 0}).Reload()
    figures = [epoch for phase in history for epoch in phase["epochs"]]
    for tag, name in tensorboard.SCALARS.items():
        points = [(event.step, tf.make_ndarray(event.tensor_proto).item()) for event in log.Tensors(tag)]
        assert points == [(step, pytest.approx(epoch[name])) for step, epoch in enumerate(figures, start=1)]
    phases = [tf.make_ndarray(event.tensor_proto).item() for event in log.Tensors("phase")]
    assert phases == [number for number, phase in enumerate(history, start=1) for _ in phase["epochs"]]
    texts = [tf.make_ndarray(event.tensor_proto).item().decode() for event in log.Tensors("phase_text")]
    expected = [f"{phase['phase']}: from epoch {phase['first_epoch']} on" for phase in history]
    if history[-1]["rolled_back"]:
        expected.append(f"fine_tune: rolled back after epoch {len(figures)}")
    assert texts == expected


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
    (other,) = run(transform_output, example_files, tmp_path / "other", training={"seed": 4, "fine_tune": None})
    assert other["epochs"] != history[0]["epochs"]


def test_fine_tuning_can_be_skipped(transform_output, example_files, tmp_path):
    history = run(transform_output, example_files, tmp_path, training={"fine_tune": None})
    assert [record["phase"] for record in history] == ["head"]


def test_a_phase_that_no_longer_helps_stops_early_with_its_best_weights(transform_output, example_files, tmp_path):
    rising = {"epochs": 9, "learning_rate": 0.1, "patience": 1}
    (head,) = run(transform_output, example_files, tmp_path, training={"head": rising, "fine_tune": None})
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
        run(transform_output, example_files, tmp_path, training={"head": {"epochs": 9, "learning_rate": 1e30}})
    assert not (tmp_path / "Format-Serving").exists()


def test_progress_is_told_an_epoch_a_line(transform_output, example_files, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "regraft"):
        run(transform_output, example_files, tmp_path, training={"fine_tune": None})
    records = [
        record for record in caplog.records if record.name.startswith("regraft")
    ]  # others name this test's folder
    lines = [record.getMessage().strip() for record in records if "epoch" in record.getMessage()]
    assert [line.split(":")[0] for line in lines] == [f"head epoch {n}/3" for n in (1, 2, 3)]
    assert lines[-1].endswith(" 0 s left")


def test_an_empty_split_is_named(transform_output, example_files, tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "none.gz"), "GZIP"):
        pass
    with pytest.raises(input_pipeline.EmptySplitError, match=r"no examples in .*none\.gz"):
        run(transform_output, {**example_files, "eval": str(tmp_path / "none.gz")}, tmp_path)


@pytest.mark.parametrize(
    ("at", "share", "then_from"),
    [("head epoch 3/3", 1.0, 4), ("fine_tune epoch 4/5", 1.0, 5), ("head epoch 3/3", 1e-9, 2)],
)
def test_a_training_that_is_killed_goes_on_and_ends_as_if_it_had_not_been(
    first, transform_output, example_files, tmp_path, monkeypatch, at, share, then_from
):
    """Each epoch's line is logged after its state has been saved; dropout, shuffling and Adam's moments all count."""
    history, folder = first
    config, state = classifier_config(), tmp_path / "state"
    monkeypatch.setattr(training_state, "SAVING_SHARE", share)
    log = callbacks.log_epoch

    def killing(phase, epoch, last_epoch, *rest):
        log(phase, epoch, last_epoch, *rest)
        if at == f"{phase} epoch {epoch}/{last_epoch}":
            raise Killed

    monkeypatch.setattr(callbacks, "log_epoch", killing)
    with pytest.raises(Killed):
        run(transform_output, example_files, tmp_path, config, state_directory=state)
    seen = []
    monkeypatch.setattr(callbacks, "log_epoch", lambda phase, epoch, *_: seen.append(epoch))
    shutil.rmtree(tmp_path / "run")  # a later run has another folder
    assert run(transform_output, example_files, tmp_path, config, state_directory=state) == history
    check_curves(tmp_path / "run", history)
    assert seen == list(range(then_from, 6)), "no epoch that was saved is run twice"
    for variables in ("variables.data-00000-of-00001", "variables.index"):
        assert (folder / "Format-Serving/variables" / variables).exists()
    image = tf.constant([next(iter(tf.data.TFRecordDataset(tf.io.gfile.glob(example_files["eval"]), "GZIP"))).numpy()])
    answers = [
        tf.saved_model.load(str(f / "Format-Serving")).signatures["serving_default"](image)["probabilities"].numpy()
        for f in (folder, tmp_path)
    ]
    np.testing.assert_array_equal(*answers)
    assert list(state.glob("*")) == [], "the state of a finished training is not kept"


def test_an_unfinished_training_is_continued_by_no_other(tmp_path):
    """Its state is found again by the configuration, the files that it names, the examples and the graph."""
    same = {"classifier": classifier_config().serialized(), "state_directory": str(tmp_path), "files": {"net.h5": "1"}}
    fields = {"train_files": ["a"], "eval_files": ["b"], "transform_graph_path": "graph", "hyperparameters": None}

    def folder(**changes) -> Path:
        given = SimpleNamespace(custom_config={**same, **changes.pop("custom_config", {})}, **{**fields, **changes})
        state = training_state.TrainingState(str(tmp_path), training_state.identity(given))
        state.save({"of": "this"}, {})
        return max(tmp_path.iterdir(), key=lambda path: path.stat().st_mtime_ns)

    first = folder()
    assert folder(serving_model_dir="elsewhere", model_run_dir="elsewhere") == first, "outputs do not count"
    others = [
        folder(custom_config={"classifier": classifier_config(training={"seed": 4}).serialized()}),
        folder(
            custom_config={"classifier": classifier_config(trunk_features={"views": 1, "mode": "pixels"}).serialized()}
        ),
        folder(custom_config={"files": {"net.h5": "2"}}),
        folder(train_files=["a", "c"]),
        folder(eval_files=["c"]),
        folder(transform_graph_path="other"),
        folder(hyperparameters={"values": {"head.kind": "dense"}}),
    ]
    assert len({first, *others}) == 8


def test_phase_two_is_rolled_back_if_it_does_not_help(transform_output, example_files, tmp_path, caplog):
    harmful = {"epochs": 2, "learning_rate": 5.0, "layers": 10, "patience": 5}
    with caplog.at_level(logging.INFO, "regraft"):
        head, fine_tune = run(transform_output, example_files, tmp_path, training={"fine_tune": harmful})
    assert fine_tune["rolled_back"] is True
    assert fine_tune["eval_loss"] >= head["eval_loss"]
    assert "rolled back: the loss in training went from" in caplog.text
    assert fine_tune["reason"].endswith("training.fine_tune.learning_rate (5) is too high") and head["reason"] == ""
    served = tf.saved_model.load(str(tmp_path / "Format-Serving")).signatures
    alone = run(transform_output, example_files, tmp_path / "alone", training={"fine_tune": None})
    assert alone == [head]
    without = tf.saved_model.load(str(tmp_path / "alone" / "Format-Serving")).signatures
    image = tf.constant([next(iter(tf.data.TFRecordDataset(tf.io.gfile.glob(example_files["eval"]), "GZIP"))).numpy()])
    np.testing.assert_array_equal(
        served["serving_default"](image)["probabilities"], without["serving_default"](image)["probabilities"]
    )


@pytest.mark.parametrize(
    "sections",
    [
        {"training": {"precision": "mixed_bfloat16", "fine_tune": None}},
        {
            "head": {"kind": "hidden", "units": 16, "pooling": "gem", "output": "logits"},
            "augmentation": {"flip": "horizontal", "rotation": 10.0, "mixup": 0.2},
            "training": {
                "head": {"optimizer": "adamw", "schedule": "cosine", "warmup": 0.25, "clip_norm": 1.0, "epochs": 4},
                "fine_tune": {"optimizer": "sgd", "layers": "last_conv", "epochs": 1, "learning_rate": 1e-4},
                "loss": {"label_smoothing": 0.05, "class_weights": "balanced"},
            },
        },
    ],
)
def test_what_is_configured_is_trained_and_served_in_float32(transform_output, example_files, tmp_path, sections):
    sections = json.loads(json.dumps(sections))
    for phase in ("head",):
        sections.setdefault("training", {}).setdefault(phase, {}).setdefault("learning_rate", 1e-2)
    history = run(transform_output, example_files, tmp_path, **sections)
    assert keras.config.dtype_policy().name == "float32", "the policy of the process is as it was"
    signatures = tf.saved_model.load(str(tmp_path / "Format-Serving")).signatures
    records = tf.data.TFRecordDataset(tf.io.gfile.glob(example_files["eval"]), "GZIP")
    examples = tf.constant(list(records.as_numpy_iterator()))
    probabilities = signatures["serving_default"](examples)["probabilities"].numpy()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    labels = signatures["true_labels"](examples)["label"].numpy()
    accuracy = (probabilities.argmax(axis=1) == labels).mean()
    assert accuracy == pytest.approx(history[-1]["epochs"][-1]["val_accuracy"], abs=0.35)
    if "augmentation" in sections:
        assert (tmp_path / "run" / "augmentation.png").is_file()
        rates = [epoch["learning_rate"] for epoch in history[0]["epochs"]]
        assert rates[0] == pytest.approx(1e-2, rel=0.01) and rates[-1] < rates[1] < rates[0]


def test_the_served_logits_are_divided_once_by_the_temperature(transform_output, example_files, tmp_path, monkeypatch):
    """The probabilities are those without it, to the power of one over the temperature."""
    monkeypatch.setattr(heat_maps, "of", lambda *_, **__: None)  # they take seconds, and do not matter here
    config = classifier_config(training={"fine_tune": None}).model_copy(update={"novelty": None})
    training = TrainingRun(fn_args_of(transform_output, example_files, tmp_path, config))
    trained, (_, images) = training.fit(), training.data.images[1].raw(12)
    served = {}
    for calibration in ("none", "auto"):
        training.config = config.model_copy(
            update={"training": config.training.model_copy(update={"calibration": calibration})}
        )
        model, _, divisor = training._served(trained.classifier)
        served[calibration] = np.asarray(model(images, training=False), np.float64)
    assert abs(np.log(divisor)) > 0.02
    powers = served["none"] ** (1 / divisor)
    np.testing.assert_allclose(served["auto"], powers / powers.sum(axis=1, keepdims=True), rtol=1e-3)


def test_a_head_too_big_for_the_data_draws_a_warning(transform_output, example_files, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "regraft"):
        run(transform_output, example_files, tmp_path, training={"fine_tune": None, "head": {"epochs": 1}})
    assert "the head has 92," in caplog.text
    assert "parameters for 12 training images; smaller heads: dense (3,843)" in caplog.text


def test_an_example_without_weight_teaches_nothing(transform_output, example_files, tmp_path):
    """Half of the training images are mislabelled; with weight 0, the model doesn't believe them."""

    def losses_with(weight: float) -> list[float]:
        files = {**example_files, "train": str(tmp_path / f"train-{weight}")}
        with tf.io.TFRecordWriter(files["train"], "GZIP") as writer:
            for index in range(8):
                for name, other in (("cyan", "yellow"), ("yellow", "magenta"), ("magenta", "cyan")):
                    writer.write(example(name, seed=index).SerializeToString())
                    wrong = example(name, seed=1000 + index, weight=weight)
                    wrong.features.feature[features.LABEL].bytes_list.value[0] = other.encode()
                    writer.write(wrong.SerializeToString())
        history = run(transform_output, files, tmp_path / str(weight), training={"fine_tune": None})
        return [epoch["val_loss"] for epoch in history[0]["epochs"]]

    assert min(losses_with(0.0)) < min(losses_with(1.0)) / 2
