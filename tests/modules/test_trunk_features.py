"""Trunk features: how they are computed, kept, and trained on."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from training import Killed, run, settings

from modules import callbacks, features, resume, trunk_features
from modules.batches import Batches
from modules.feature_table import FeatureTable
from modules.input_pipeline import EmptySplitError
from modules.losses import Labels
from modules.trunk_features import Extractor, Manifest, Recipe

BACKBONE = settings()["backbone"]
RECIPE = Recipe(BACKBONE, layers=10)


def folder_of(transform_output) -> str:
    return transform_output.transform_savedmodel_dir.removesuffix("/transform_fn")


def raw(example_files, split: str) -> list[bytes]:
    return list(tf.data.TFRecordDataset(tf.io.gfile.glob(example_files[split]), "GZIP").as_numpy_iterator())


def keep(recipe: Recipe, transform_output, example_files, folder) -> dict[str, str]:
    """Writes features as the component does; gives the patterns of both splits."""
    extractor = Extractor(recipe, folder_of(transform_output))
    patterns = {}
    for split in ("train", "eval"):
        (folder / f"Split-{split}").mkdir(parents=True)
        parts = extractor(tf.constant(raw(example_files, split)), recipe.views if split == "train" else 1)
        with tf.io.TFRecordWriter(str(folder / f"Split-{split}" / "features.tfrecord")) as writer:
            for key, label, weight, activations in zip(*(part.numpy() for part in parts), strict=True):
                writer.write(trunk_features.encode(key, int(label), float(weight), activations))
        patterns[split] = str(folder / f"Split-{split}" / "*")
    extractor.manifest.write(str(folder))
    return patterns


@pytest.mark.parametrize(
    ("change", "shape", "mode", "reason"),
    [
        ({}, (3, 3, 1152), "cached", ""),
        ({"layers": None}, (3, 3, 1280), "cached", ""),
        ({"layers": None, "pooling": "max"}, (1280,), "cached", ""),
        ({"layers": "all"}, (96, 96, 3), "pixels", "fine-tuning reaches down to the backbone's first weights"),
        ({"layers": 135}, (48, 48, 32), "pixels", "an image's activations are 73,728 values, more than its 27,648"),
        ({"layers": 135, "always": True}, (48, 48, 32), "cached", ""),
    ],
)
def test_what_is_kept_and_whether_it_pays(transform_output, change, shape, mode, reason, tmp_path):
    recipe = dataclasses.replace(RECIPE, **change)
    manifest = Extractor(recipe, folder_of(transform_output)).manifest
    assert (manifest.shape, manifest.mode) == (shape, mode)
    assert manifest.reason.startswith(reason) and bool(manifest.reason) == bool(reason)
    manifest.write(str(tmp_path))
    assert Manifest.read(str(tmp_path)) == manifest


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"layers": "all", "always": True}, r"trunk_features\.mode: cached is not possible: fine-tuning reaches down"),
        (
            {"layers": 135, "views": 3},
            r"trunk_features\.views: 3 views can't be kept: an image's activations are",
        ),
    ],
)
def test_what_must_be_kept_and_can_not_is_refused(transform_output, change, told):
    recipe = dataclasses.replace(RECIPE, augmentation={"hue": 0.1}, seed=0, **change)
    with pytest.raises(trunk_features.NotKeptError, match=told):
        _ = Extractor(recipe, folder_of(transform_output)).manifest


def test_features_of_an_image_are_what_the_trunk_makes_of_it_and_of_its_views(transform_output, example_files):
    augmentation = {"rotation": 90.0}
    recipe = dataclasses.replace(RECIPE, dtype="float32", views=3, augmentation=augmentation, seed=1)
    serialized = raw(example_files, "train")
    extractor = Extractor(recipe, folder_of(transform_output))
    keys, labels, weights, activations = (part.numpy() for part in extractor(tf.constant(serialized), 3))
    examples = [tf.train.Example.FromString(record).features.feature for record in serialized]
    assert keys.tolist() == [example[features.KEY].bytes_list.value[0] for example in examples]
    assert sorted(np.bincount(labels)) == [4, 4, 4]
    assert weights.tolist() == [1.0] * 12
    plain = Extractor(dataclasses.replace(RECIPE, dtype="float32"), folder_of(transform_output))
    np.testing.assert_array_equal(plain(tf.constant(serialized), 1)[3][:, 0], activations[:, 0])
    assert (np.abs(activations[:, 0] - activations[:, 1]).max(axis=(1, 2, 3)) > 1e-3).all()
    assert (np.abs(activations[:, 2] - activations[:, 1]).max(axis=(1, 2, 3)) > 1e-3).all()
    alone = extractor(tf.constant(serialized[5:6]), 3)[3][0].numpy()
    np.testing.assert_allclose(alone, activations[5], atol=1e-4)


def table_of(patterns: list[str], manifest: Manifest, memory: int) -> FeatureTable:
    return FeatureTable.read(patterns, manifest, 3, memory)


def test_a_table_gives_every_image_once_an_epoch_in_one_of_its_views(tmp_path):
    """Each activation says its image and its view."""
    manifest = Manifest("cached", "", "layer", False, (2,), "float16", 4, "")
    with tf.io.TFRecordWriter(str(tmp_path / "part")) as writer:
        for image in (7, 3, 9, 0, 5, 1, 8, 2, 6, 4):
            activations = np.array([[image, view] for view in range(4)], np.float16)
            writer.write(trunk_features.encode(b"%d" % image, image % 3, 1 + image / 10, activations))
    table = table_of([str(tmp_path / "*")], manifest, memory=10**6)
    assert (table.images, table.counts, table.held) == (10, [4, 3, 3], 10 * 4 * 2 * 2)
    assert table.weighted
    labels = Labels(3, "softmax", weights=(1.0, 2.0, 3.0), by_example=True)

    def epoch(number: int, seed: int = 0, of: FeatureTable = table, drop: bool = False) -> np.ndarray:
        batches = list(of.training_epoch(number, Batches(seed, 4, labels, drop)).as_numpy_iterator())
        activations, targets, weights = (np.concatenate(column) for column in zip(*batches, strict=True))
        assert activations.dtype == np.float32
        np.testing.assert_array_equal(targets.argmax(axis=1), activations[:, 0] % 3)
        np.testing.assert_allclose(weights, (activations[:, 0] % 3 + 1) * (1 + activations[:, 0] / 10), rtol=1e-6)
        return activations

    epochs = [epoch(number) for number in range(20)]
    for rows in epochs:
        assert sorted(rows[:, 0]) == list(range(10))
    assert {view for rows in epochs for view in rows[:, 1]} == {0, 1, 2, 3}
    np.testing.assert_array_equal(epoch(3), epochs[3])
    assert not np.array_equal(epochs[3], epochs[4]) and not np.array_equal(epoch(3, seed=1), epochs[3])
    assert len(epoch(0, drop=True)) == 8

    evaluation = list(table.evaluation(Batches(0, 4, labels, True)).as_numpy_iterator())
    assert [len(batch) for batch in evaluation] == [2, 2, 2], "unweighted"
    np.testing.assert_array_equal(np.concatenate([batch[0] for batch in evaluation]), [[n, 0] for n in range(10)])

    mapped = table_of([str(tmp_path / "*")], manifest, memory=10)
    assert isinstance(mapped._activations, np.memmap) and mapped.held == 0
    np.testing.assert_array_equal(epoch(3, of=mapped), epochs[3])

    vector = keras.Input((2,))
    double = keras.Model(vector, keras.layers.Rescaling(2.0)(vector))
    behind = table.behind(double)
    assert behind.held == table.size_behind(double) == 10 * 4 * 2 * 4
    np.testing.assert_array_equal(next(iter(behind.evaluation(Batches(0, 4, labels, False))))[0], 2 * evaluation[0][0])


def test_a_table_of_nothing_is_refused(tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "part")):
        pass
    manifest = Manifest("cached", "", "layer", False, (2,), "float16", 1, "")
    with pytest.raises(EmptySplitError, match=r"no examples in .*part"):
        table_of([str(tmp_path / "part")], manifest, 10)


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
    recipe = dataclasses.replace(RECIPE, **change)
    patterns = keep(recipe, transform_output, example_files, tmp_path / "features")
    training = {"fine_tune": None} if recipe.layers is None else {}
    config = settings(
        backbone=dict(recipe.backbone),
        head={"kind": "dense"},
        training=training,
        trunk_features={"memory_gib": memory_gib},
    )
    history = run(transform_output, example_files, tmp_path, config, more=patterns)
    whole = json.loads((tmp_path / "run" / "history.json").read_text())
    assert whole["mode"] == "cached" and whole["pooled"] == (recipe.layers is None)
    best = [record["best_eval_loss"] for record in history if not record["rolled_back"]][-1]
    signatures = tf.saved_model.load(str(tmp_path / "Format-Serving")).signatures
    examples = tf.constant(raw(example_files, "eval"))
    probabilities = signatures["serving_default"](examples)["probabilities"].numpy()
    labels = signatures["true_labels"](examples)["label"].numpy()
    loss = -np.log(probabilities[np.arange(len(labels)), labels]).mean()
    np.testing.assert_allclose(loss, best, rtol=2e-3)


def test_training_on_features_and_on_images_begin_alike_and_end_alike(transform_output, example_files, tmp_path):
    """With float32 and one batch an epoch, the first epoch's loss differs by the order of sums alone."""
    patterns = keep(
        dataclasses.replace(RECIPE, dtype="float32"), transform_output, example_files, tmp_path / "features"
    )
    config = settings(head={"dropout": 0.0}, training={"batch_size": 12})
    on_features = run(transform_output, example_files, tmp_path / "1", config, more=patterns)
    on_images = run(transform_output, example_files, tmp_path / "2", config)
    for ours, theirs in zip(on_features, on_images, strict=True):
        assert ours["trainable_weights"] == theirs["trainable_weights"]
        np.testing.assert_allclose(ours["epochs"][0]["loss"], theirs["epochs"][0]["loss"], rtol=1e-3)
    assert on_features[-1]["epochs"][-1]["accuracy"] == on_images[-1]["epochs"][-1]["accuracy"]


def test_features_of_other_weights_are_refused(transform_output, example_files, tmp_path):
    other = dataclasses.replace(RECIPE, backbone={**BACKBONE, "weights": "none"})
    patterns = keep(other, transform_output, example_files, tmp_path / "features")
    with pytest.raises(trunk_features.OtherWeightsError, match="were computed with other weights than the backbone"):
        run(transform_output, example_files, tmp_path, settings(), more=patterns)


def test_a_training_on_features_that_is_killed_ends_as_if_it_had_not_been(
    transform_output, example_files, tmp_path, monkeypatch
):
    recipe = dataclasses.replace(RECIPE, views=2, augmentation={"rotation": 30.0}, seed=3)
    patterns = keep(recipe, transform_output, example_files, tmp_path / "features")
    config = settings(augmentation={"rotation": 30.0})
    history = run(transform_output, example_files, tmp_path / "whole", config, more=patterns)
    assert (tmp_path / "whole" / "run" / "augmentation.png").is_file()
    config["state_directory"] = str(tmp_path / "state")
    monkeypatch.setattr(resume, "SAVING_SHARE", 1.0)
    log = callbacks.log_epoch

    def killing(phase, epoch, last_epoch, *rest):
        if (phase, epoch) == ("fine_tune", 4):
            raise Killed
        log(phase, epoch, last_epoch, *rest)

    monkeypatch.setattr(callbacks, "log_epoch", killing)
    with pytest.raises(Killed):
        run(transform_output, example_files, tmp_path / "killed", config, more=patterns)
    monkeypatch.setattr(callbacks, "log_epoch", log)
    assert run(transform_output, example_files, tmp_path / "killed", config, more=patterns) == history
