"""Trainer's module file: grafts a head onto the backbone, fits it in two phases, exports the served model."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
import tensorflow_transform as tft

from modules import augmentation, backbones, heads, input_pipeline, losses, model, phases, signatures
from modules.errors import BadInputError
from modules.input_preprocessing import PREPROCESSING
from modules.resume import TrainingState

_log = logging.getLogger("regraft.trainer")

_SHEET_ROWS = 6
HISTORY = "history.json"
SHEET = "augmentation.png"


class TrainingError(BadInputError):
    """The data or the settings make no training possible."""


def run_fn(fn_args: Any) -> None:
    """Called by TFX Trainer, https://www.tensorflow.org/tfx/guide/trainer.

    Args:
      fn_args: `train_files`, `eval_files`, `transform_output`, `serving_model_dir`, `model_run_dir`, and as
        `custom_config` the sections `backbone`, `head`, `training` and `augmentation` of the run's configuration, and
        `state_directory`, where the state of an unfinished training is kept (or None).

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
    train = input_pipeline.Split(fn_args.train_files, transform_output, classes)
    evaluation = input_pipeline.Split(fn_args.eval_files, transform_output, classes)

    strategy = _strategy(training["replicas"])
    with _precision(training["precision"]), strategy.scope():
        classifier, backbone, head = _build(config, classes)
        _tell(config, train, evaluation, classes, backbone, head, strategy)
        fitting = _fitting(config, classifier, backbone, train, evaluation, classes, strategy, fn_args.model_run_dir)
        state = TrainingState(config["state_directory"], _depends_on(fn_args))
        history = phases.fit(fitting, state)
    _write_json(Path(fn_args.model_run_dir) / HISTORY, history)
    served = _for_serving(config, classes, classifier)
    signatures.export(served, transform_output, classes, fn_args.serving_model_dir)
    state.discard()


def _build(config: Mapping[str, Any], classes: Sequence[str]) -> tuple[keras.Model, keras.Model, keras.Model]:
    """The classifier, and the backbone and head inside it."""
    backbone = _backbone(config["backbone"])
    options = heads.HeadOptions(**config["head"])
    head = heads.build(options, tuple(backbone.output.shape[1:]), len(classes), config["training"]["seed"])
    return model.classifier(backbone, head), backbone, head


def _backbone(section: Mapping[str, Any]) -> keras.Model:
    size = section["image_size"]
    if section["saved_model"] is not None:
        return backbones.from_saved_model(section["saved_model"], size)
    if section["keras_model"] is not None:
        return backbones.from_keras_model(section["keras_model"], section["layer"], size)
    return backbones.build(section["name"], size, section["weights"])


def _fitting(
    config: Mapping[str, Any],
    classifier: keras.Model,
    backbone: keras.Model,
    train: input_pipeline.Split,
    evaluation: input_pipeline.Split,
    classes: Sequence[str],
    strategy: tf.distribute.Strategy,
    log_dir: str,
) -> phases.Fitting:
    training, output = config["training"], config["head"]["output"]
    loss = training["loss"]
    labels = input_pipeline.Labels(classes, output, losses.class_weights(loss["class_weights"], classes, train.counts))
    augment = augmentation.Augmentation(config["augmentation"], output, training["seed"])
    trainee = classifier
    if augment:
        preprocess = PREPROCESSING[config["backbone"]["preprocessing"]]
        augmentation.write_sheet(augment, train.sample_pixels(_SHEET_ROWS).numpy(), f"{log_dir}/{SHEET}")
        augment = augmentation.Augmentation(config["augmentation"], output, training["seed"])
        trainee = augmentation.AugmentedClassifier(classifier, augment, preprocess)
    batch_size = min(training["batch_size"], train.images)
    # A replica that gets no image of a last, smaller batch has no mean loss.
    drop_remainder = 0 < train.images % batch_size < strategy.num_replicas_in_sync
    return phases.Fitting(
        trainee=trainee,
        backbone=backbone,
        training_epoch=lambda epoch: train.training_epoch(
            epoch, training["seed"], batch_size, labels, as_pixels=bool(augment), drop_remainder=drop_remainder
        ),
        evaluation=evaluation.evaluation(batch_size, labels),
        images=train.images,
        steps=train.steps(batch_size),
        compile_with=lambda: {
            "loss": losses.loss(output, loss["label_smoothing"], loss["focal_gamma"]),
            "metrics": [losses.accuracy(output)],
        },
        settings=training,
        log_dir=log_dir,
    )


def _tell(
    config: Mapping[str, Any],
    train: input_pipeline.Split,
    evaluation: input_pipeline.Split,
    classes: Sequence[str],
    backbone: keras.Model,
    head: keras.Model,
    strategy: tf.distribute.Strategy,
) -> None:
    """What is about to be trained, and a warning if the head is large for the data."""
    parameters = head.count_params()
    replicas = strategy.num_replicas_in_sync
    _log.info(
        "  %d training and %d eval images of %d classes; %s head of %s parameters on %s%s",
        *(train.images, evaluation.images, len(classes), config["head"]["kind"], f"{parameters:,}", backbone.name),
        f", {replicas} replicas" if replicas > 1 else "",
    )
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


def _write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
