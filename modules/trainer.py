"""Trainer's module file: grafts a head onto the backbone, fits it in two phases, exports the served model."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from modules import (
    assembly,
    augmentation,
    devices,
    heads,
    input_pipeline,
    inputs,
    losses,
    material,
    model,
    phases,
    reference_answers,
    signatures,
    trunk_features,
)
from modules.batches import Batches
from modules.errors import BadInputError
from modules.input_preprocessing import PREPROCESSING
from modules.inputs import Inputs
from modules.resume import TrainingState
from modules.views import Views

_log = logging.getLogger("regraft.trainer")

_SHEET_ROWS = 6
HISTORY = "history.json"
SHEET = "augmentation.png"


class TrainingError(BadInputError):
    """The data or the settings make no training possible."""


def run_fn(fn_args: Any) -> None:
    """Called by TFX Trainer, https://www.tensorflow.org/tfx/guide/trainer.

    Args:
      fn_args: `train_files` and `eval_files`, of raw examples and, if there are, of trunk features; `transform_output`,
        `serving_model_dir`, `model_run_dir`; and as `custom_config` the sections `backbone`, `head`, `training`,
        `augmentation` and `trunk_features` of the run's configuration, `pixels_because`, why there are no trunk
        features, and `state_directory`, where the state of an unfinished training is kept (or None).

    Raises:
      BadInputError: if a split is empty, there are fewer than two classes, or the model can't be built.
      callbacks.NonFiniteLossError: if the loss becomes NaN or infinite.
    """
    config = fn_args.custom_config
    training = config["training"]
    # Layers without names of their own are numbered as they are made: begin anew, so that a layer to fine-tune has the
    # same name in every process and stage.
    keras.utils.clear_session()
    # Both are of the whole process: random initialisers and dropout, and the order in which sums are made.
    keras.utils.set_random_seed(training["seed"])
    tf.config.experimental.enable_op_determinism()

    transform_output = tft.TFTransformOutput(fn_args.transform_output)
    classes = signatures.class_names(transform_output)
    if len(classes) < 2:
        raise TrainingError(f"a classifier needs two classes or more; the training split holds {classes}")
    given = inputs.read(fn_args, transform_output, classes)

    strategy = devices.strategy(training["replicas"])
    with devices.precision(training["precision"]), strategy.scope():
        classifier, backbone, head = assembly.build(config, classes)
        _tell(config, given, classes, backbone, head, strategy)
        fitting = _fitting(config, given, classifier, backbone, head, classes, strategy, fn_args.model_run_dir)
        state = TrainingState(config["state_directory"], _depends_on(fn_args))
        history = phases.fit(fitting, state)
    _write_json(Path(fn_args.model_run_dir) / HISTORY, {**given.described(config["pixels_because"]), "phases": history})
    served = _for_serving(config, classes, classifier)
    reference_answers.write(fn_args.model_run_dir, served, given.images[1], classes)
    signatures.export(served, transform_output, classes, fn_args.serving_model_dir)
    state.discard()


def _fitting(
    config: Mapping[str, Any],
    given: Inputs,
    classifier: keras.Model,
    backbone: keras.Model,
    head: keras.Model,
    classes: Sequence[str],
    strategy: tf.distribute.Strategy,
    log_dir: str,
) -> phases.Fitting:
    training, output = config["training"], config["head"]["output"]
    loss, train = training["loss"], given.splits[0]
    weights = losses.class_weights(loss["class_weights"], classes, train.counts)
    size = min(training["batch_size"], train.images)
    batches = Batches(
        seed=training["seed"],
        size=size,
        labels=losses.Labels(len(classes), output, weights, by_example=train.weighted),
        # A replica that gets no image of a last, smaller batch has no mean loss.
        drop_remainder=0 < train.images % size < strategy.num_replicas_in_sync,
    )
    return phases.Fitting(
        backbone=backbone,
        material=_material(config, given, classifier, backbone, head, batches, log_dir),
        images=train.images,
        steps=batches.steps(train.images),
        compile_with=lambda: {
            "loss": losses.loss(output, loss["label_smoothing"], loss["focal_gamma"]),
            "metrics": [losses.accuracy(output)],
        },
        settings=training,
        log_dir=log_dir,
    )


def _material(
    config: Mapping[str, Any],
    given: Inputs,
    classifier: keras.Model,
    backbone: keras.Model,
    head: keras.Model,
    batches: Batches,
    log_dir: str,
) -> Callable[[str], phases.Material]:
    settings, seed = config["augmentation"], config["training"]["seed"]
    train, evaluation = given.images
    if given.features and given.manifest:
        if given.manifest.views > 1:
            columns = _views(train, Views(settings, seed), given.manifest.views)
            augmentation.write_sheet(columns, f"{log_dir}/{SHEET}")
        layers = phases.layers_to_fine_tune(config["training"])
        left = inputs.memory_of(config) - sum(table.held for table in given.features)
        return material.from_features(backbone, head, layers, given.manifest, *given.features, batches, left)
    augment = augmentation.Augmentation(settings, config["head"]["output"], seed)
    trainee = classifier
    if augment:
        pixels, _ = train.sample(_SHEET_ROWS)
        augmentation.write_sheet(augmentation.columns(augment, pixels.numpy()), f"{log_dir}/{SHEET}")
        augment = augmentation.Augmentation(settings, config["head"]["output"], seed)
        preprocess = PREPROCESSING[config["backbone"]["preprocessing"]]
        trainee = augmentation.AugmentedClassifier(classifier, augment, preprocess)
    return material.from_images(trainee, train, evaluation, batches)


def _views(split: input_pipeline.Split, views: Views, count: int) -> list[np.ndarray]:
    pixels, keys = split.sample(_SHEET_ROWS)
    return [views(pixels, keys, view).numpy() for view in range(min(count, augmentation.SHEET_COLUMNS))]


def _tell(
    config: Mapping[str, Any],
    given: Inputs,
    classes: Sequence[str],
    backbone: keras.Model,
    head: keras.Model,
    strategy: tf.distribute.Strategy,
) -> None:
    """What is about to be trained, and a warning if the head is large for the data."""
    (train, evaluation), parameters, replicas = given.splits, head.count_params(), strategy.num_replicas_in_sync
    _log.info(
        "  %d training and %d eval images of %d classes; %s head of %s parameters on %s%s",
        *(train.images, evaluation.images, len(classes), config["head"]["kind"], f"{parameters:,}"),
        *(backbone.name, f", {replicas} replicas" if replicas > 1 else ""),
    )
    if given.manifest and given.manifest.mode == trunk_features.CACHED:
        views = f" in {given.manifest.views} views" if given.manifest.views > 1 else ""
        _log.info("  training on kept activations of %s%s", given.manifest.cut, views)
    else:
        _log.info("  training on images: %s", given.described(config["pixels_because"])["reason"])
    if parameters > heads.PARAMETERS_PER_IMAGE * train.images:
        others = heads.smaller(tuple(backbone.output.shape[1:]), len(classes), parameters)
        _log.warning(
            "  warning: the head has %s parameters for %d training images; smaller heads: %s",
            *(f"{parameters:,}", train.images),
            "; ".join(f"{name} ({size:,})" for name, size in others.items()) or "none",
        )


def _for_serving(config: Mapping[str, Any], classes: Sequence[str], trained: keras.Model) -> keras.Model:
    """The classifier in float32, on no device in particular, answering with probabilities."""
    training = config["training"]
    classifier = trained
    if training["precision"] != "float32" or training["replicas"] != 1:
        classifier, _, _ = assembly.build(config, classes)
        classifier.set_weights(trained.get_weights())
    answer = model.probabilities(classifier.output, config["head"]["output"])
    return keras.Model(classifier.input, answer, name="classifier")


def _depends_on(fn_args: Any) -> dict[str, Any]:
    """What makes one training the same as another: its settings and its data."""
    return {
        "config": fn_args.custom_config,
        "data": [*fn_args.train_files, *fn_args.eval_files],
        "transform": fn_args.transform_output,
    }


def read_history(model_run: str) -> dict[str, Any]:
    """What `run_fn` noted of a training.

    Args:
      model_run: the folder it wrote beside the model.

    Returns:
      `mode`, `reason` and so on as in trunk_features.Manifest, and `phases` as phases.fit gives them.
    """
    history: dict[str, Any] = json.loads(Path(model_run, HISTORY).read_text(encoding="utf-8"))
    return history


def _write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
