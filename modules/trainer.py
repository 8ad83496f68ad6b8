"""Trainer's module file: grafts a head onto the backbone, fits it in two phases, exports the served model."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
import tensorflow_transform as tft

from modules import backbones, callbacks, features, heads, model, signatures
from modules.errors import BadInputError

_log = logging.getLogger("regraft.trainer")

_SHUFFLE_BUFFER = 4096  # encoded images; ImageExampleGen has already put them in the order of their hashes
_READ_AHEAD = 2  # batches; fixed, because autotuned tf.data stalls at epoch ends on a busy machine with few cores

HEAD_PHASE = "head"
FINE_TUNE_PHASE = "fine_tune"


class TrainingError(BadInputError):
    """The data or the settings make no training possible."""


@dataclass
class _Split:
    """A split of the examples, ready to be fitted on."""

    dataset: tf.data.Dataset  # (float32 [batch, size, size, 3], int64 [batch])
    images: int
    steps: int


def run_fn(fn_args: Any) -> None:
    """Called by TFX Trainer, https://www.tensorflow.org/tfx/guide/trainer.

    Args:
      fn_args: `train_files`, `eval_files`, `transform_output`, `serving_model_dir`, `model_run_dir`, and as
        `custom_config` the sections `backbone`, `head` and `training` of the run's configuration.

    Raises:
      TrainingError: if a split is empty or there are fewer than two classes.
      backbones.BackboneError, heads.HeadError: if the model can't be built.
      callbacks.NonFiniteLossError: if the loss becomes NaN or infinite.
    """
    config = fn_args.custom_config
    seed = config["training"]["seed"]
    # Both are of the whole process: random initialisers and dropout, and the order in which sums are made.
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()

    transform_output = tft.TFTransformOutput(fn_args.transform_output)
    classes = signatures.class_names(transform_output)
    if len(classes) < 2:
        raise TrainingError(f"a classifier needs two classes or more; the training split holds {classes}")
    batch_size = config["training"]["batch_size"]
    train = _read(fn_args.train_files, transform_output, batch_size, shuffle_seed=seed)
    evaluation = _read(fn_args.eval_files, transform_output, batch_size)

    backbone = backbones.build(**config["backbone"])
    head = heads.build(feature_map=tuple(backbone.output.shape[1:]), classes=len(classes), seed=seed, **config["head"])
    classifier = model.classifier(backbone, head)
    _log.info(
        "  %d training and %d eval images of %d classes; head of %s parameters on %s",
        *(train.images, evaluation.images, len(classes), f"{head.count_params():,}", config["backbone"]["name"]),
    )
    history = fit(classifier, backbone, train, evaluation, config["training"], fn_args.model_run_dir)
    _write_json(Path(fn_args.model_run_dir) / "history.json", history)
    signatures.export(classifier, transform_output, classes, fn_args.serving_model_dir)


def fit(
    classifier: keras.Model,
    backbone: keras.Model,
    train: _Split,
    evaluation: _Split,
    training: dict[str, Any],
    log_dir: str,
) -> list[dict[str, Any]]:
    """Phase 1 trains the head on the frozen backbone, phase 2 the backbone's top layers too, at a lower rate.

    Args:
      classifier: `backbone` with a head; its weights afterwards are those of the best epoch of the last phase, by the
        loss on `evaluation`.
      backbone: the model inside `classifier`.
      train: what to fit on.
      evaluation: what to stop early on.
      training: the configuration's section `training`.
      log_dir: where TensorBoard's logs go.

    Returns:
      one record a phase: its name, first epoch, learning rate, trainable weights, and each epoch's figures.
    """
    model.freeze(backbone)
    history = [_fit_phase(HEAD_PHASE, classifier, train, evaluation, training, 0, log_dir)]
    if training[FINE_TUNE_PHASE] is not None:
        names = model.unfreeze_top(backbone, training[FINE_TUNE_PHASE]["layers"])
        _log.info("  fine-tuning %d layers of the backbone, from %s on", len(names), names[0] if names else "none")
        epochs_run = len(history[0]["epochs"])
        history.append(_fit_phase(FINE_TUNE_PHASE, classifier, train, evaluation, training, epochs_run, log_dir))
    return history


def _fit_phase(
    phase: str,
    classifier: keras.Model,
    train: _Split,
    evaluation: _Split,
    training: dict[str, Any],
    first_epoch: int,
    log_dir: str,
) -> dict[str, Any]:
    settings = training[phase]
    last_epoch = first_epoch + settings["epochs"]
    # Compiling anew is what makes a change of `trainable` take effect, and starts the optimizer's moments afresh.
    classifier.compile(
        optimizer=keras.optimizers.Adam(settings["learning_rate"]),
        loss=keras.losses.SparseCategoricalCrossentropy(),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )
    fitted = classifier.fit(
        train.dataset,
        validation_data=evaluation.dataset,
        initial_epoch=first_epoch,
        epochs=last_epoch,
        verbose=0,
        callbacks=[
            callbacks.StopOnNonFiniteLoss(phase),
            callbacks.Progress(phase, first_epoch, last_epoch, train.images, train.steps),
            keras.callbacks.TensorBoard(log_dir, write_graph=False),
            keras.callbacks.EarlyStopping("val_loss", patience=training["patience"], restore_best_weights=True),
        ],
    )
    return {
        "phase": phase,
        "first_epoch": first_epoch + 1,
        "learning_rate": settings["learning_rate"],
        "trainable_weights": sum(int(variable.value.shape.num_elements()) for variable in classifier.trainable_weights),
        "epochs": _by_epoch(fitted.history),
    }


def _by_epoch(history: dict[str, list[float]]) -> list[dict[str, float]]:
    rows = zip(*history.values(), strict=True)
    return [{name: float(value) for name, value in zip(history, row, strict=True)} for row in rows]


def _read(
    file_patterns: list[str],
    transform_output: tft.TFTransformOutput,
    batch_size: int,
    shuffle_seed: int | None = None,
) -> _Split:
    """Reads a split behind the transform graph; with a seed, in another order each epoch."""
    files = sorted(file for pattern in file_patterns for file in tf.io.gfile.glob(pattern))
    records = tf.data.TFRecordDataset(files, compression_type="GZIP")
    images = int(records.reduce(tf.constant(0, tf.int64), lambda count, _: count + 1))
    if images == 0:
        raise TrainingError(f"no examples in {file_patterns}: too few images for this split's share")
    if shuffle_seed is not None:
        records = records.shuffle(min(images, _SHUFFLE_BUFFER), shuffle_seed, reshuffle_each_iteration=True)
    transform = transform_output.transform_features_layer()
    spec = {name: tf.io.FixedLenFeature([1], tf.string) for name in (features.ENCODED, features.LABEL)}

    def prepare(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        transformed = transform(tf.io.parse_example(serialized, spec))
        return transformed[features.TRANSFORMED_IMAGE], transformed[features.TRANSFORMED_LABEL]

    steps = -(-images // batch_size)
    dataset = (
        records.batch(batch_size)
        .map(prepare, num_parallel_calls=_READ_AHEAD)
        .apply(tf.data.experimental.assert_cardinality(steps))
        .prefetch(_READ_AHEAD)
    )
    return _Split(dataset, images, steps)


def _write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
