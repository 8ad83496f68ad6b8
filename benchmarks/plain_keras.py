"""What the pipeline is compared with: two-phase fine-tuning as a plain Keras script, which caches nothing.

It uses the same backbone with the same weights, head, optimizer, seed, batches and epochs as the pipeline. Like the
pipeline it runs with deterministic ops and without tf.data's autotune, which stalls the ends of epochs. It prints one
JSON object. For benchmarks/accuracy.py it writes its answers on the test images, too.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import keras
import tensorflow as tf
import yaml

from benchmarks import trial
from benchmarks.peak_memory import PeakMemory
from config.backbone import BackboneConfig
from modules.backbones import builders, freezing
from modules.data.normalization import PREPROCESSING


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="the pipeline's configuration")
    parser.add_argument("folders", type=Path, help="holds train/, test/, perhaps eval/, each with a folder per class")
    parser.add_argument("model", type=Path, help="folder for the SavedModel")
    parser.add_argument("--answers", type=Path, help="folder for the answers on the test images")
    parser.add_argument(
        "--freeze-depthwise", action="store_true", help="depthwise kernels stay frozen in phase 2, as in the pipeline"
    )
    options = parser.parse_args()
    config = yaml.safe_load(options.config.read_text(encoding="utf-8"))
    with PeakMemory(interval=0.2) as peak:
        model, test, whole, seconds = _train(config, options.folders, options.model, options.freeze_depthwise)
    if options.answers:
        costs = trial.costs_so_far(whole, peak.gib)
        classes = sorted(folder.name for folder in (options.folders / "train").iterdir())
        trial.save(options.answers, classes, model.predict(test, verbose=0), costs)
    _, accuracy = model.evaluate(test, verbose=0)
    sys.stdout.write(json.dumps({"training": whole, "phases": seconds, "accuracy": accuracy}) + "\n")


def _train(
    config: dict, folders: Path, exported: Path, freeze_depthwise: bool
) -> tuple[keras.Model, tf.data.Dataset, float, dict[str, float]]:
    """Trains and exports; returns the model, the test images, and the seconds of all and of each phase."""
    training = config["training"]
    keras.utils.set_random_seed(training["seed"])
    tf.config.experimental.enable_op_determinism()

    start = time.monotonic()
    size = config["backbone"]["image_size"]
    splits = {
        split: dataset(folders / split, size, training, shuffled=split == "train")
        for split in ("train", "eval", "test")
        if (folders / split).is_dir()
    }
    classes = len(list((folders / "train").iterdir()))
    backbone, preprocess = build_backbone(config["backbone"])
    splits = {split: data.map(lambda x, y: (preprocess(x), y)).prefetch(2) for split, data in splits.items()}

    backbone.trainable = False
    image = keras.Input((size, size, 3))
    model = keras.Model(image, _head(backbone(image, training=False), config["head"], classes))
    seconds = {"head": _fit(model, splits, training["head"])}
    if training["fine_tune"]:
        _unfreeze_top(backbone, training["fine_tune"]["layers"], freeze_depthwise)
        seconds["fine_tune"] = _fit(model, splits, training["fine_tune"])
    model.export(exported, verbose=False)
    return model, splits["test"], time.monotonic() - start, seconds


def dataset(folder: Path, size: int, training: dict, shuffled: bool) -> tf.data.Dataset:
    """Batches of float32 pixels [batch, size, size, 3] in [0, 255] and one-hot labels, in the order of the paths."""
    data = keras.utils.image_dataset_from_directory(
        folder,
        label_mode="categorical",
        image_size=(size, size),
        batch_size=training["batch_size"],
        shuffle=shuffled,
        seed=training["seed"],
        verbose=False,
    )
    options = tf.data.Options()
    options.autotune.enabled = False
    return data.with_options(options)


def build_backbone(section: dict) -> tuple[keras.Model, Callable[[tf.Tensor], tf.Tensor]]:
    """A backbone without its top, with the weights of the pipeline, and its preprocessing of RGB in [0, 255]."""
    config = BackboneConfig.model_validate(section)
    return builders.load(config), PREPROCESSING[str(config.preprocessing)]


def _unfreeze_top(backbone: keras.Model, layers: int, freeze_depthwise: bool) -> None:
    frozen = freezing.ALWAYS_FROZEN if freeze_depthwise else keras.layers.BatchNormalization
    backbone.trainable = True
    for layer in backbone.layers[:-layers]:
        layer.trainable = False
    for layer in backbone._flatten_layers():  # of composite layers too, as modules/backbones/freezing.py does
        if isinstance(layer, frozen):
            layer.trainable = False


def _head(x: keras.KerasTensor, section: dict, classes: int) -> keras.KerasTensor:
    if section["kind"] == "conv":
        for filters in section["filters"]:
            x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
            x = keras.layers.BatchNormalization(momentum=0.9)(x)
            x = keras.layers.ReLU()(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(section["dropout"])(x)
    return keras.layers.Dense(classes, activation="softmax")(x)


def _fit(model: keras.Model, splits: dict[str, tf.data.Dataset], phase: dict) -> float:
    start = time.monotonic()
    model.compile(keras.optimizers.Adam(phase["learning_rate"]), "categorical_crossentropy", metrics=["accuracy"])
    model.fit(splits["train"], validation_data=splits.get("eval"), epochs=phase["epochs"], verbose=0)
    return time.monotonic() - start


if __name__ == "__main__":
    main()
