"""The two-phase fit: first the head on a frozen backbone, then the backbone's top layers too.

A phase runs all its epochs and ends with its last weights, or, with `patience`, stops early and ends with the weights
of its best epoch by the loss on eval. If phase 2 raises that loss beyond chance, it is rolled back. That phase 1 ends
before phase 2 begins keeps the pretrained features from being spoilt by a random head (Kumar et al.,
https://arxiv.org/abs/2202.10054).
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from config.training import FineTuneConfig, PhaseConfig, TrainingConfig
from modules.backbones import freezing
from modules.training import callbacks, comparison
from modules.training.optimizers import make_optimizer
from modules.training.tensorboard import TrainingLog
from modules.training.training_state import Saved, TrainingState

_log = logging.getLogger("regraft.trainer")

HEAD_PHASE = "head"
FINE_TUNE_PHASE = "fine_tune"
_SMALL_CHANGE = 0.02  # of the loss in training, which dropout alone makes vary by about as much


@dataclass
class PhaseState:
    """How much of a phase is done.

    Attributes:
      next_epoch: counted from 0 over both phases.
      waited: epochs since the best one.
      epochs: each epoch's figures.
      best_loss: lowest loss on eval so far, None before the first epoch.
      best: the values of the mutable variables after the best epoch; empty if the phase ends with its last weights.
    """

    next_epoch: int
    waited: int = 0
    epochs: list[dict[str, float]] = field(default_factory=list)
    best_loss: float | None = None
    best: list[np.ndarray] = field(default_factory=list)


@dataclass(frozen=True)
class PhaseData:
    """What one phase fits, and on which data.

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
      phase_data: name of a phase to what it fits; called when the phase begins.
      images: examples in an epoch.
      classes: how many there are.
      steps: batches in an epoch.
      compile_with: makes loss and metric; called for every phase.
      training: the section of a configuration.
      log: for TensorBoard.
      state: where an unfinished training is kept.
    """

    backbone: keras.Model
    phase_data: Callable[[str], PhaseData]
    images: int
    classes: int
    steps: int
    compile_with: Callable[[], dict[str, Any]]
    training: TrainingConfig
    log: TrainingLog
    state: TrainingState

    def phase(self, name: str) -> PhaseConfig:
        """The configuration of a phase that there is."""
        phase: PhaseConfig = getattr(self.training, name)
        return phase


def fit(fitting: Fitting, before: Sequence[dict[str, Any]] = ()) -> list[dict[str, Any]]:
    """Fits both phases. An earlier, unfinished training with the same settings and data is continued.

    Args:
      fitting: what is fitted.
      before: the record of phase 1, if the head was trained already.

    Returns:
      one record per phase: `phase`, `first_epoch` (from 1), `learning_rate`, `trainable_weights` (count), `eval_loss`
      (of the weights that it ended with), `rolled_back`, `reason` (why it was; else empty), `epochs` (each epoch's
      figures).

    Raises:
      callbacks.NonFiniteLossError: if the loss becomes NaN or infinite.
      freezing.UnfreezeError: if the layers to fine-tune do not exist.
    """
    saved = fitting.state.load()
    done: list[dict[str, Any]] = saved[0]["done"] if saved else list(before)
    fitting.log.repeat(done)
    fine_tune = fitting.training.fine_tune
    freezing.freeze(fitting.backbone)
    if fine_tune is not None:  # a wrong name of a layer is found now, not after hours of phase 1
        freezing.unfreeze_top(fitting.backbone, fine_tune.layers)
        freezing.freeze(fitting.backbone)
    if not done:
        done.append(_fit_phase(HEAD_PHASE, fitting.phase_data(HEAD_PHASE), fitting, saved, done))
        saved = None
    if len(done) == 1 and fine_tune is not None:
        done.append(_fine_tune(fine_tune, fitting, saved, done))
    return done


def _fine_tune(
    fine_tune: FineTuneConfig, fitting: Fitting, saved: Saved | None, done: list[dict[str, Any]]
) -> dict[str, Any]:
    names = freezing.unfreeze_top(fitting.backbone, fine_tune.layers)
    _log.info("  fine-tuning %d layer%s of the backbone, from %s on", len(names), "s"[: len(names) > 1], names[0])
    data = fitting.phase_data(FINE_TUNE_PHASE)
    mutable = _mutable(data.trainee, fitting.backbone)
    before = saved[1]["before"] if saved else _values(mutable)
    record = _fit_phase(FINE_TUNE_PHASE, data, fitting, saved, done, before)
    if not record["eval_loss"] < done[0]["eval_loss"] and _is_worse(data, fitting, mutable, before):
        _assign(mutable, before)
        record |= {"rolled_back": True, "reason": _why_no_better(record, done[0])}
        _log.info(
            "  fine_tune raised the loss on eval beyond chance (%.6g, before %.6g), so it was rolled back: %s",
            *(record["eval_loss"], done[0]["eval_loss"], record["reason"]),
        )
        fitting.log.rolled_back(FINE_TUNE_PHASE, record["first_epoch"] + len(record["epochs"]) - 1)
    return record


def _is_worse(data: PhaseData, fitting: Fitting, mutable: list[keras.Variable], before: list[np.ndarray]) -> bool:
    """Whether the values after phase 2 are worse on eval than those from before it, beyond chance; they stay."""
    loss, after = fitting.compile_with()["loss"], _values(mutable)
    losses_after = comparison.image_losses(data.trainee, data.evaluation, loss)
    _assign(mutable, before)
    losses_before = comparison.image_losses(data.trainee, data.evaluation, loss)
    _assign(mutable, after)
    return comparison.is_worse(losses_after, losses_before)


def _why_no_better(fine_tune: dict[str, Any], head: dict[str, Any]) -> str:
    """What the loss on the training split says about a phase 2 that raised the loss on eval, and what to try."""
    before, after = head["epochs"][-1]["loss"], fine_tune["epochs"][-1]["loss"]
    rate = f"training.fine_tune.learning_rate ({fine_tune['learning_rate']:g})"
    losses = f"the loss in training went from {before:.4g} to {after:.4g}"
    if after > before:
        return f"{losses}; {rate} is too high"
    if after > (1 - _SMALL_CHANGE) * before:
        return f"{losses}; {rate} is too low, or there are too few epochs"
    return f"{losses}, so it fits too few images too well; fewer training.fine_tune.layers or a lower {rate} may help"


def _fit_phase(
    name: str,
    data: PhaseData,
    fitting: Fitting,
    saved: Saved | None,
    done: list[dict[str, Any]],
    before: list[np.ndarray] | None = None,
) -> dict[str, Any]:
    phase, first_epoch = fitting.phase(name), sum(len(record["epochs"]) for record in done)
    epochs = phase.epochs_for(fitting.images, fitting.classes)
    last_epoch = first_epoch + epochs
    # Compiling again is what makes a change of `trainable` take effect; it also starts a new optimizer.
    optimizer = make_optimizer(phase, epochs * fitting.steps)
    trainee = data.trainee
    trainee.compile(optimizer=optimizer, **fitting.compile_with())
    optimizer.build(trainee.trainable_variables)
    mutable = _mutable(trainee, fitting.backbone)
    variables = [*mutable, *trainee.optimizer.variables]
    progress = PhaseState(first_epoch)
    if saved:
        progress = PhaseState(**saved[0]["progress"], best=saved[1].get("best", []))
        fitting.log.repeat([{"phase": name, "first_epoch": first_epoch + 1, "epochs": progress.epochs}])
        _assign(variables, saved[1]["variables"])
        _log.info("  continuing after %s epoch %d of an unfinished run", name, progress.next_epoch)
    start, began_at = time.monotonic(), progress.next_epoch
    while progress.next_epoch < last_epoch and (phase.patience is None or progress.waited < phase.patience):
        figures = _fit_epoch(name, data, fitting, progress.next_epoch, last_epoch)
        _record_epoch(progress, figures, mutable if phase.patience else [])
        if fitting.state.is_due():
            fitting.state.save(
                {"done": done, "progress": {k: v for k, v in asdict(progress).items() if k != "best"}},
                {"variables": _values(variables), "best": progress.best, "before": before or []},
            )
        rate = (time.monotonic() - start) / (progress.next_epoch - began_at)
        callbacks.log_epoch(name, progress.next_epoch, last_epoch, figures, rate)
    if phase.patience:
        _assign(mutable, progress.best)
    return {
        "phase": name,
        "first_epoch": first_epoch + 1,
        "learning_rate": phase.learning_rate,
        "trainable_weights": sum(int(np.prod(v.shape)) for v in trainee.trainable_variables),
        "eval_loss": progress.best_loss if phase.patience else progress.epochs[-1]["val_loss"],
        "rolled_back": False,
        "reason": "",
        "epochs": progress.epochs,
    }


def _fit_epoch(phase: str, data: PhaseData, fitting: Fitting, epoch: int, last_epoch: int) -> dict[str, float]:
    fitted = data.trainee.fit(
        data.training_epoch(epoch),
        validation_data=data.evaluation,
        initial_epoch=epoch,
        epochs=epoch + 1,
        shuffle=False,
        verbose=0,
        callbacks=[
            callbacks.StopOnInterruption(),
            callbacks.StopOnNonFiniteLoss(phase),
            callbacks.StepProgress(phase, last_epoch, fitting.images, fitting.steps),
        ],
    )
    figures = {name: float(values[0]) for name, values in fitted.history.items()}
    figures["learning_rate"] = callbacks.learning_rate(data.trainee)
    fitting.log.epoch(phase, epoch + 1, figures)
    return figures


def _record_epoch(progress: PhaseState, figures: dict[str, float], mutable: list[keras.Variable]) -> None:
    progress.next_epoch += 1
    progress.epochs = [*progress.epochs, copy.copy(figures)]
    if progress.best_loss is None or figures["val_loss"] < progress.best_loss:
        progress.best_loss, progress.waited, progress.best = figures["val_loss"], 0, _values(mutable)
    else:
        progress.waited += 1


def _mutable(trainee: keras.Model, backbone: keras.Model) -> list[keras.Variable]:
    """Every variable that a fit may change: all but the frozen part of the backbone, random states included."""
    frozen = {id(variable) for variable in backbone.variables if not variable.trainable}
    return [variable for variable in trainee.variables if id(variable) not in frozen]


def _values(variables: list[keras.Variable]) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(variable).copy() for variable in variables]


def _assign(variables: list[keras.Variable], values: list[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
