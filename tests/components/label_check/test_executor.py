"""The stage on images of three colours, one of which has the wrong label."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from drawing import COLOURS, encode, flat
from examples import folder_of
from kept import recipe
from tfx.types import artifact_utils, standard_artifacts

from components import artifacts, example_counts, progress
from components.label_check import executor, image_features, results
from components.label_check.vectors import Vectors
from components.trunk_features.extractor import Extractor
from config.errors import BadInputError
from config.label_check import LabelCheckConfig
from modules.data import features, tf_example, trunk_features

PER_CLASS = {"train": 14, "eval": 3, "test": 4}
ODD_NAME = b"caf\xe9/<script>.png"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Raw examples; the first test image, which is cyan, has the label magenta."""
    root = tmp_path_factory.mktemp("examples")
    for number, (split, count) in enumerate(PER_CLASS.items()):
        path = root / f"Split-{split}" / "data.gz"
        path.parent.mkdir()
        with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
            for index in range(count):
                for name in COLOURS:
                    is_wrong = (split, index, name) == ("test", 0, "cyan")
                    encoded = encode(flat(name, (40, 40), seed=100 * number + index))
                    values = {
                        features.ENCODED: encoded,
                        features.LABEL: b"magenta" if is_wrong else name.encode(),
                        features.KEY: hashlib.sha256(encoded).hexdigest().encode(),
                        features.PATH: ODD_NAME if is_wrong else f"{name}/{split}-{index}.png".encode(),
                        features.GROUP: b"",
                        features.WEIGHT: 1.0,
                    }
                    writer.write(tf_example.serialize(values))
    return root


def raw(folder: Path, split: str) -> list[str]:
    return [str(path) for path in (folder / f"Split-{split}").iterdir()]


@pytest.fixture(scope="module")
def kept(folder, transform_output, tmp_path_factory) -> str:
    """What TrunkFeatures keeps of train and eval."""
    root = tmp_path_factory.mktemp("kept")
    extractor = Extractor(recipe(dtype="float32"), folder_of(transform_output))
    for split in ("train", "eval"):
        (root / f"Split-{split}").mkdir()
        serialized = list(tf.data.TFRecordDataset(raw(folder, split), "GZIP").as_numpy_iterator())
        parts = [part.numpy() for part in extractor(tf.constant(serialized), 1)]
        with tf.io.TFRecordWriter(str(root / f"Split-{split}" / "features.tfrecord")) as writer:
            for key, label, weight, activations in reversed(list(zip(*parts, strict=True))):  # in another order
                writer.write(trunk_features.encode(key, int(label), float(weight), activations))
    extractor.manifest.write(str(root))
    return str(root)


def test_kept_activations_give_the_features_that_images_give(folder, kept, transform_output, tmp_path):
    vectors = Vectors(recipe(dtype="float32"), folder_of(transform_output), kept)
    files = {"eval": raw(folder, "eval")}
    tally = progress.Tally(str(tmp_path / "progress"), 9)
    assert vectors.write(str(tmp_path / "kept"), files, tally) == {"eval": 9}
    computed = {"other": raw(folder, "eval")}  # no split of this name is kept
    assert vectors.write(str(tmp_path / "computed"), computed, tally) == {"other": 9}
    one = image_features.read(str(tmp_path / "kept")).splits["eval"]
    other = image_features.read(str(tmp_path / "computed")).splits["other"]
    assert one.keys == other.keys == sorted(one.keys)
    assert one.vectors.shape == (9, sum(vectors.blocks)) and np.ptp(one.vectors, axis=0).max() > 0
    assert np.abs(one.vectors.astype(float) - other.vectors).max() < 0.01
    assert one.labels == [path.partition("/")[0] for path in one.paths]


def artifact(kind, uri: Path | str, splits: str = ""):
    made = kind()
    made.uri = str(uri)
    if splits:
        made.split_names = splits
    return made


def run(folder, transform_output, root: Path, kept: str | None = None, expected: dict[str, int] | None = None):
    """Runs the stage; gives its findings and the features."""
    for name in ("report", "features", "found"):
        (root / name).mkdir()
    examples = artifact(standard_artifacts.Examples, folder, artifact_utils.encode_split_names(list(PER_CLASS)))
    if expected:
        example_counts.record(examples, expected)
    inputs = {
        "examples": [examples],
        "transform_graph": [artifact(standard_artifacts.TransformGraph, folder_of(transform_output))],
        "report": [artifact(artifacts.IngestReport, root / "report")],
        **({"features": [artifact(standard_artifacts.Examples, kept)]} if kept else {}),
    }
    outputs = {
        "image_features": [artifact(artifacts.ImageFeatures, root / "features")],
        "label_check": [artifact(artifacts.LabelFindings, root / "found")],
    }
    properties = {
        "recipe": recipe(dtype="float32").serialized(),
        "splits": json.dumps(list(PER_CLASS)),
        "config": LabelCheckConfig().serialized(),
    }
    executor.Executor().Do(inputs, outputs, properties)
    return results.read(str(root / "found")), image_features.read(str(root / "features"))


@pytest.mark.parametrize("uses_kept", [True, False])
def test_the_wrong_label_is_found_whatever_the_features_are_made_of(
    uses_kept, folder, kept, transform_output, tmp_path
):
    found, images = run(folder, transform_output, tmp_path, kept if uses_kept else None)
    labels = [one for one in found.suspects if one.kind in ("likely wrong", "check")]
    assert [(one.split, one.label, one.likely_label) for one in labels] == [("test", "magenta", "cyan")]
    assert labels[0].path.encode("utf-8", "surrogateescape") == ODD_NAME
    assert {name: len(split.keys) for name, split in images.splits.items()} == {"train": 42, "eval": 9, "test": 12}
    assert {one.label for one in found.nearest[labels[0].key]} == {"cyan"}
    assert not list((tmp_path / "features").glob(".progress*"))


def test_examples_that_were_lost_stop_the_stage(folder, kept, transform_output, tmp_path):
    with pytest.raises(BadInputError, match="13 examples of split test were written, and 12 were read"):
        run(folder, transform_output, tmp_path, kept, {"train": 42, "eval": 9, "test": 13})
