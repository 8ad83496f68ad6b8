"""The two-phase fit: the head on a frozen backbone, then the backbone's top layers too, at a lower rate.

Every phase ends with the weights of its best epoch by the loss on eval. Phase 2 never ends worse than phase 1: if it
does not lower that loss, it is rolled back.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from modules import callbacks, model
from modules.resume import TrainingState

_log = logging.getLogger("regraft.trainer")

HEAD_PHASE = "head"
FINE_TUNE_PHASE = "fine_tune"


@dataclass
class PhaseState:
    """How far a phase has come.

    Attributes:
      next_epoch: counted from 0 over both phases.
      waited: epochs since the best one.
      epochs: each epoch's figures.
      best_loss: lowest loss on eval so far, None before the first epoch.
      best: the values of the mutable variables after the best epoch.
    """

    next_epoch: int
    waited: int = 0
    epochs: list[dict[str, float]] = field(default_factory=list)
    best_loss: float | None = None
    best: list[np.ndarray] = field(default_factory=list)


@dataclass(frozen=True)
class Material:
    """What one phase fits, and on what.

    Attributes:
      trainee: the model that is fitted: the classifier, or a part of it that ends with the head.
      training_epoch: epoch number to that epoch's batches, as the trainee takes them.
      evaluation: batches of eval.
    """

    trainee: keras.Model
    training_epoch: Callable[[int], tf.data.Dataset]
    evaluation: tf.data.Dataset


@dataclass(frozen=True)
class Fitting:
    """A training.

    Attributes:
      backbone: the model whose layers are frozen and unfrozen.
      material: name of a phase to what it fits; called when the phase begins.
      images, steps: of an epoch.
      compile_with: makes loss and metric; called for every phase.
      settings: the section `training` of a configuration.
      log_dir: for TensorBoard.
    """

    backbone: keras.Model
    material: Callable[[str], Material]
    images: int
    steps: int
    compile_with: Callable[[], dict[str, Any]]
    settings: Mapping[str, Any]
    log_dir: str


def fit(fitting: Fitting, state: TrainingState) -> list[dict[str, Any]]:
    """Fits both phases, going on from where an earlier, unfinished training of the same left off.

    Returns:
      one record a phase: `phase`, `first_epoch` (from 1), `learning_rate`, `trainable_weights` (count),
      `best_eval_loss`, `rolled_back`, `epochs` (each epoch's figures).

    Raises:
      callbacks.NonFiniteLossError: if the loss becomes NaN or infinite.
      model.UnfreezeError: if the layers to fine-tune aren't there.
    """
    saved = state.load()
    done: list[dict[str, Any]] = saved[0]["done"] if saved else []
    model.freeze(fitting.backbone)
    if fitting.settings[FINE_TUNE_PHASE] is not None:  # a wrong name is found out before phase 1 has run for hours
        model.unfreeze_top(fitting.backbone, fitting.settings[FINE_TUNE_PHASE]["layers"])
        model.freeze(fitting.backbone)
    if not done:
        done.append(_fit_phase(HEAD_PHASE, fitting.material(HEAD_PHASE), fitting, state, saved, done, 0))
        saved = None
    if len(done) == 1 and fitting.settings[FINE_TUNE_PHASE] is not None:
        done.append(_fine_tune(fitting, state, saved, done))
    return done


def _fine_tune(fitting: Fitting, state: TrainingState, saved: Any, done: list[dict[str, Any]]) -> dict[str, Any]:
    names = model.unfreeze_top(fitting.backbone, fitting.settings[FINE_TUNE_PHASE]["layers"])
    _log.info("  fine-tuning %d layers of the backbone, from %s on", len(names), names[0])
    first_epoch = len(done[0]["epochs"])
    material = fitting.material(FINE_TUNE_PHASE)
    mutable = _mutable(material.trainee, fitting.backbone)
    before = saved[1]["before"] if saved else _values(mutable)
    record = _fit_phase(FINE_TUNE_PHASE, material, fitting, state, saved, done, first_epoch, before)
    if not record["best_eval_loss"] < done[0]["best_eval_loss"]:
        _log.info(
            "  fine_tune did not lower the loss on eval (%.6g, before %.6g): rolled back",
            *(record["best_eval_loss"], done[0]["best_eval_loss"]),
        )
        _assign(mutable, before)
        record["rolled_back"] = True
    return record


def _fit_phase(
    phase: str,
    material: Material,
    fitting: Fitting,
    state: TrainingState,
    saved: Any,
    done: list[dict[str, Any]],
    first_epoch: int,
    before: list[np.ndarray] | None = None,
) -> dict[str, Any]:
    settings = fitting.settings[phase]
    last_epoch = first_epoch + settings["epochs"]
    # Compiling anew is what makes a change of `trainable` take effect, and starts the optimizer's moments afresh.
    optimizer = make_optimizer(settings, fitting.steps)
    trainee = material.trainee
    trainee.compile(optimizer=optimizer, **fitting.compile_with())
    optimizer.build(trainee.trainable_variables)
    mutable = _mutable(trainee, fitting.backbone)
    variables = [*mutable, *trainee.optimizer.variables]
    progress = PhaseState(first_epoch)
    if saved:
        progress = PhaseState(**saved[0]["progress"], best=saved[1]["best"])
        _assign(variables, saved[1]["variables"])
        _log.info("  going on after %s epoch %d of an unfinished run", phase, progress.next_epoch)
    start = time.monotonic()
    began_at = progress.next_epoch
    while progress.next_epoch < last_epoch and progress.waited < settings["patience"]:
        figures = _fit_epoch(phase, material, fitting, progress.next_epoch, last_epoch)
        _note(progress, figures, mutable)
        if state.is_due():
            state.save(
                {"done": done, "progress": {k: v for k, v in asdict(progress).items() if k != "best"}},
                {"variables": _values(variables), "best": progress.best, "before": before or []},
            )
        rate = (time.monotonic() - start) / (progress.next_epoch - began_at)
        callbacks.log_epoch(phase, progress.next_epoch, last_epoch, figures, rate)
    _assign(mutable, progress.best)
    return {
        "phase": phase,
        "first_epoch": first_epoch + 1,
        "learning_rate": settings["learning_rate"],
        "trainable_weights": sum(int(np.prod(v.shape)) for v in trainee.trainable_variables),
        "best_eval_loss": progress.best_loss,
        "rolled_back": False,
        "epochs": progress.epochs,
    }


def _fit_epoch(phase: str, material: Material, fitting: Fitting, epoch: int, last_epoch: int) -> dict[str, float]:
    fitted = material.trainee.fit(
        material.training_epoch(epoch),
        validation_data=material.evaluation,
        initial_epoch=epoch,
        epochs=epoch + 1,
        shuffle=False,
        verbose=0,
        callbacks=[
            callbacks.StopOnNonFiniteLoss(phase),
            callbacks.StepProgress(phase, last_epoch, fitting.images, fitting.steps),
        ],
    )
    figures = {name: float(values[0]) for name, values in fitted.history.items()}
    figures["learning_rate"] = callbacks.learning_rate(material.trainee)
    for split, prefix in (("train", ""), ("validation", "val_")):
        with tf.summary.create_file_writer(f"{fitting.log_dir}/{split}").as_default(epoch):
            for name in ("loss", "accuracy"):
                tf.summary.scalar(f"epoch_{name}", figures[prefix + name])
    return figures


def _note(progress: PhaseState, figures: dict[str, float], mutable: list[keras.Variable]) -> None:
    progress.next_epoch += 1
    progress.epochs = [*progress.epochs, copy.copy(figures)]
    if progress.best_loss is None or figures["val_loss"] < progress.best_loss:
        progress.best_loss, progress.waited, progress.best = figures["val_loss"], 0, _values(mutable)
    else:
        progress.waited += 1


def layers_to_fine_tune(settings: Mapping[str, Any]) -> int | float | str | None:
    """Of a section `training`, what `model.unfreeze_top` takes; None if nothing of the backbone is fine-tuned."""
    phase = settings[FINE_TUNE_PHASE]
    return None if phase is None else phase["layers"]


def make_optimizer(settings: Mapping[str, Any], steps: int) -> keras.optimizers.Optimizer:
    """The optimizer of a phase.

    Args:
      settings: a phase's section of the configuration.
      steps: of an epoch, for the schedule.
    """
    rate: Any = settings["learning_rate"]
    if settings["schedule"] == "cosine":
        # Loshchilov & Hutter, https://arxiv.org/abs/1608.03983, after a linear warm-up.
        warmup = settings["warmup_epochs"] * steps
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0 if warmup else settings["learning_rate"],
            decay_steps=max(1, settings["epochs"] * steps - warmup),
            warmup_target=settings["learning_rate"] if warmup else None,
            warmup_steps=warmup,
        )
    clip = {"global_clipnorm": settings["clip_norm"]} if settings["clip_norm"] else {}
    if settings["optimizer"] == "sgd":
        return keras.optimizers.SGD(rate, momentum=settings["momentum"], **clip)
    if settings["optimizer"] == "adamw":
        return keras.optimizers.AdamW(rate, weight_decay=settings["weight_decay"], **clip)
    return keras.optimizers.Adam(rate, **clip)


def _mutable(trainee: keras.Model, backbone: keras.Model) -> list[keras.Variable]:
    """Every variable that a fit may change: all but the frozen part of the backbone, random states included."""
    frozen = {id(variable) for variable in backbone.variables if not variable.trainable}
    return [variable for variable in trainee.variables if id(variable) not in frozen]


def _values(variables: list[keras.Variable]) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(variable).copy() for variable in variables]


def _assign(variables: list[keras.Variable], values: list[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
