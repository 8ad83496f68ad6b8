"""The stage Export, from a SavedModel as Trainer writes it to files that answer as the SavedModel does."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from drawing import COLOURS, encode, flat
from examples import IMAGE_INPUT, example, folder_of, write_transform_graph
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from components import artifacts
from components.evaluator import export_gate
from components.export import calibration, executor
from config.errors import BadInputError
from config.export import ExportConfig
from modules.data import decoding
from modules.exporting import export_files
from modules.serving import signatures
from pipeline import predict

CLASSES = sorted(COLOURS)


def artifact(kind: type, folder: Path, **splits: int):
    """An artifact in a folder; examples get this many images of each colour in each split."""
    made = kind()
    made.uri = str(folder)
    if splits:
        made.split_names = json.dumps(list(splits))
    for offset, (split, count) in enumerate(splits.items()):
        (folder / f"Split-{split}").mkdir(parents=True)
        with tf.io.TFRecordWriter(str(folder / f"Split-{split}" / "data.gz"), "GZIP") as writer:
            for number in range(count):
                for name in COLOURS:
                    writer.write(example(name, seed=100 * offset + number).SerializeToString())
    return made


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> dict:
    """The stage's inputs and output, after it has run."""
    folder = tmp_path_factory.mktemp("stage")
    transform_output = write_transform_graph(folder, IMAGE_INPUT, list(COLOURS))
    keras.utils.set_random_seed(2)
    image = keras.Input((96, 96, 3))
    layer = keras.layers.Conv2D(8, 5, strides=4, activation="relu")
    answer = keras.layers.Dense(3, "softmax")(keras.layers.GlobalAveragePooling2D()(layer(image)))
    made = {
        "model": artifact(standard_artifacts.Model, folder / "model"),
        "examples": artifact(standard_artifacts.Examples, folder / "examples", train=4, test=2),
        "transform_graph": artifact(standard_artifacts.TransformGraph, Path(folder_of(transform_output))),
        "exports": artifact(artifacts.ModelExports, folder / "exports"),
    }
    saved_model = path_utils.serving_model_dir(made["model"].uri)
    signatures.export(keras.Model(image, answer), transform_output, CLASSES, saved_model)
    executor.Executor().Do(
        {name: [made[name]] for name in ("model", "examples", "transform_graph")},
        {"exports": [made["exports"]]},
        {
            "config": ExportConfig(formats=["litert", "litert-int8"], calibration_images=8).serialized(),
            "image_input": IMAGE_INPUT.serialized(),
            "max_pixels": decoding.MAX_PIXELS,
        },
    )
    return {**made, "saved_model": saved_model, "graph": transform_output}


def test_the_files_answer_about_photos_as_the_saved_model_does(stage, tmp_path):
    folder = Path(stage["exports"].uri)
    assert export_files.read_index(folder)["formats"].keys() == {"litert", "litert-int8"}
    assert (folder / export_files.LABELS).read_text().split() == CLASSES
    served = predict.Model(Path(stage["saved_model"]))
    for name in COLOURS:
        photo = tmp_path / f"{name}.png"
        photo.write_bytes(encode(flat(name, (50, 70), seed=9)))
        expected = served.predict(str(photo))["probabilities"]
        by_litert = predict.opened(folder / "model.tflite").predict(str(photo))
        assert by_litert["probabilities"] == pytest.approx(expected, abs=1e-5)
        by_int8 = predict.opened(folder / "model_int8.tflite").predict(str(photo))
        assert by_int8["probabilities"] == pytest.approx(expected, abs=0.05)
    photo.write_text("no image")
    with pytest.raises(BadInputError, match=r"cannot decode it \(Unknown image file format"):
        predict.opened(folder / "model.tflite").predict(str(photo))


def test_calibration_takes_the_images_with_the_lowest_keys_as_the_model_sees_them(stage):
    few = calibration.pixels(stage["examples"], "train", stage["graph"], 5)
    everything = calibration.pixels(stage["examples"], "train", stage["graph"], 99)
    assert (few.dtype, few.shape, everything.shape) == (np.uint8, (5, 96, 96, 3), (12, 96, 96, 3))
    np.testing.assert_array_equal(few, everything[:5])
    colours = {tuple(np.round(image.mean(axis=(0, 1)) / 255).astype(int)) for image in everything}
    assert len(colours) == len(COLOURS)


def test_the_gate_sees_every_test_image_with_its_key(stage):
    inputs = {name: [stage[name]] for name in ("examples", "transform_graph")}
    images = export_gate._TestImages(inputs, ["test"])
    pixels = np.concatenate(list(images))
    assert pixels.shape == (6, 96, 96, 3) and pixels.max() > 1, "before the backbone's preprocessing"
    assert len(set(images.keys)) == 6 and all(len(key) == 64 for key in images.keys)
