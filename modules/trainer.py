"""Trainer's module file: grafts a head onto the backbone, fits it in two phases, exports the served model."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from modules import (
    augmentation,
    backbones,
    heads,
    input_pipeline,
    losses,
    material,
    model,
    phases,
    signatures,
    trunk_features,
)
from modules.errors import BadInputError
from modules.feature_table import FeatureTable
from modules.input_preprocessing import PREPROCESSING
from modules.material import Batches
from modules.resume import TrainingState
from modules.trunk_features import Manifest
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
    # Both are of the whole process: random initialisers and dropout, and the order in which sums are made.
    keras.utils.set_random_seed(training["seed"])
    tf.config.experimental.enable_op_determinism()

    transform_output = tft.TFTransformOutput(fn_args.transform_output)
    classes = signatures.class_names(transform_output)
    if len(classes) < 2:
        raise TrainingError(f"a classifier needs two classes or more; the training split holds {classes}")
    inputs = _inputs(fn_args, transform_output, classes)

    strategy = _strategy(training["replicas"])
    with _precision(training["precision"]), strategy.scope():
        classifier, backbone, head = _build(config, classes)
        _tell(config, inputs, classes, backbone, head, strategy)
        fitting = _fitting(config, inputs, classifier, backbone, head, classes, strategy, fn_args.model_run_dir)
        state = TrainingState(config["state_directory"], _depends_on(fn_args))
        history = phases.fit(fitting, state)
    _write_json(Path(fn_args.model_run_dir) / HISTORY, {**_how(config, inputs), "phases": history})
    served = _for_serving(config, classes, classifier)
    signatures.export(served, transform_output, classes, fn_args.serving_model_dir)
    state.discard()


@dataclass(frozen=True)
class _Inputs:
    """What is trained on.

    Attributes:
      images: the training and the eval split as images.
      manifest: of the trunk features; None if there are none.
      features: both splits' features; None if it doesn't pay to keep any.
    """

    images: tuple[input_pipeline.Split, input_pipeline.Split]
    manifest: Manifest | None = None
    features: tuple[FeatureTable, FeatureTable] | None = None

    @property
    def splits(self) -> tuple[input_pipeline.Split, input_pipeline.Split] | tuple[FeatureTable, FeatureTable]:
        return self.features or self.images


def _inputs(fn_args: Any, transform_output: tft.TFTransformOutput, classes: Sequence[str]) -> _Inputs:
    both = (fn_args.train_files, fn_args.eval_files)
    kept = [[pattern for pattern in patterns if trunk_features.folder_of(pattern)] for patterns in both]
    train, evaluation = (
        input_pipeline.Split([pattern for pattern in patterns if pattern not in features], transform_output, classes)
        for patterns, features in zip(both, kept, strict=True)
    )
    folder = next(map(trunk_features.folder_of, kept[0]), None)
    manifest = Manifest.read(folder) if folder else None
    if manifest is None or manifest.mode == trunk_features.PIXELS:
        return _Inputs((train, evaluation), manifest)
    memory = _memory(fn_args.custom_config)
    of_train, of_eval = (FeatureTable.read(patterns, manifest, len(classes), memory) for patterns in kept)
    return _Inputs((train, evaluation), manifest, (of_train, of_eval))


def _memory(config: Mapping[str, Any]) -> int:
    """Bytes."""
    return int(config["trunk_features"]["memory_gib"] * 2**30)


def _how(config: Mapping[str, Any], inputs: _Inputs) -> dict[str, Any]:
    """For the history: what the phases were fitted on."""
    if inputs.manifest is None:
        return {"mode": trunk_features.PIXELS, "reason": config["pixels_because"]}
    return dataclasses.asdict(inputs.manifest)


def _build(config: Mapping[str, Any], classes: Sequence[str]) -> tuple[keras.Model, keras.Model, keras.Model]:
    """The classifier, and the backbone and head inside it."""
    backbone = backbones.load(config["backbone"])
    options = heads.HeadOptions(**config["head"])
    head = heads.build(options, tuple(backbone.output.shape[1:]), len(classes), config["training"]["seed"])
    return model.classifier(backbone, head), backbone, head


def _fitting(
    config: Mapping[str, Any],
    inputs: _Inputs,
    classifier: keras.Model,
    backbone: keras.Model,
    head: keras.Model,
    classes: Sequence[str],
    strategy: tf.distribute.Strategy,
    log_dir: str,
) -> phases.Fitting:
    training, output = config["training"], config["head"]["output"]
    loss, train = training["loss"], inputs.splits[0]
    weights = losses.class_weights(loss["class_weights"], classes, train.counts)
    size = min(training["batch_size"], train.images)
    batches = Batches(
        seed=training["seed"],
        size=size,
        labels=losses.Labels(len(classes), output, weights),
        # A replica that gets no image of a last, smaller batch has no mean loss.
        drop_remainder=0 < train.images % size < strategy.num_replicas_in_sync,
    )
    return phases.Fitting(
        backbone=backbone,
        material=_material(config, inputs, classifier, backbone, head, batches, log_dir),
        images=train.images,
        steps=train.steps(size),
        compile_with=lambda: {
            "loss": losses.loss(output, loss["label_smoothing"], loss["focal_gamma"]),
            "metrics": [losses.accuracy(output)],
        },
        settings=training,
        log_dir=log_dir,
    )


def _material(
    config: Mapping[str, Any],
    inputs: _Inputs,
    classifier: keras.Model,
    backbone: keras.Model,
    head: keras.Model,
    batches: Batches,
    log_dir: str,
) -> Callable[[str], phases.Material]:
    settings, seed = config["augmentation"], config["training"]["seed"]
    train, evaluation = inputs.images
    if inputs.features and inputs.manifest:
        if inputs.manifest.views > 1:
            columns = _views(train, Views(settings, seed), inputs.manifest.views)
            augmentation.write_sheet(columns, f"{log_dir}/{SHEET}")
        layers = config["training"]["fine_tune"] and config["training"]["fine_tune"]["layers"]
        left = _memory(config) - sum(table.size for table in inputs.features)
        return material.from_features(backbone, head, layers, inputs.manifest.pooled, *inputs.features, batches, left)
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
    inputs: _Inputs,
    classes: Sequence[str],
    backbone: keras.Model,
    head: keras.Model,
    strategy: tf.distribute.Strategy,
) -> None:
    """What is about to be trained, and a warning if the head is large for the data."""
    (train, evaluation), parameters, replicas = inputs.splits, head.count_params(), strategy.num_replicas_in_sync
    _log.info(
        "  %d training and %d eval images of %d classes; %s head of %s parameters on %s%s",
        *(train.images, evaluation.images, len(classes), config["head"]["kind"], f"{parameters:,}"),
        *(backbone.name, f", {replicas} replicas" if replicas > 1 else ""),
    )
    if inputs.manifest and inputs.manifest.mode == trunk_features.CACHED:
        views = f" in {inputs.manifest.views} views" if inputs.manifest.views > 1 else ""
        _log.info("  training on kept activations of %s%s", inputs.manifest.cut, views)
    else:
        _log.info("  training on images: %s", _how(config, inputs)["reason"])
    if parameters > heads.PARAMETERS_PER_IMAGE * train.images:
        others = heads.smaller(tuple(backbone.output.shape[1:]), len(classes), parameters)
        _log.warning(
            "  warning: the head has %s parameters for %d training images; smaller heads: %s",
            *(f"{parameters:,}", train.images),
            "; ".join(f"{name} ({size:,})" for name, size in others.items()) or "none",
        )


def _strategy(replicas: int | str) -> tf.distribute.Strategy:
    """One device, or a mirror of the model on several of the best kind that the machine has.

    Raises:
      TrainingError: if there are fewer than asked for.
    """
    devices = [device.name for device in tf.config.list_logical_devices("GPU")]
    if replicas == "auto":
        replicas = max(1, len(devices))
    elif len(devices) < int(replicas):
        devices = [device.name for device in tf.config.list_logical_devices("CPU")]
    if int(replicas) == 1:
        return tf.distribute.get_strategy()
    if len(devices) < int(replicas):
        raise TrainingError(f"training.replicas: {replicas} devices are wanted; TensorFlow sees {devices}")
    return tf.distribute.MirroredStrategy(devices[: int(replicas)])


@contextlib.contextmanager
def _precision(policy: str) -> Iterator[None]:
    """Keras's dtype policy, for what is built meanwhile; the policy is global, and other stages share the process."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _for_serving(config: Mapping[str, Any], classes: Sequence[str], trained: keras.Model) -> keras.Model:
    """The classifier in float32, on no device in particular, answering with probabilities."""
    training = config["training"]
    classifier = trained
    if training["precision"] != "float32" or training["replicas"] != 1:
        classifier, _, _ = _build(config, classes)
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
