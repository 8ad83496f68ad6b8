"""Callbacks of a fit: progress for a person, and a stop when the loss is not a finite number."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping

import keras

from config import interruption

_log = logging.getLogger("regraft.trainer")


class NonFiniteLossError(RuntimeError):
    """The loss became NaN or infinite; names the step and the learning rate."""


def learning_rate(model: keras.Model) -> float:
    """The learning rate of the next step, with any schedule and any number of replicas."""
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))


class StopOnInterruption(keras.callbacks.Callback):
    """Ends the fit after a signal, also if a library has swallowed the exception that the signal raised."""

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        interruption.check()


class StopOnNonFiniteLoss(keras.callbacks.Callback):
    """Raises NonFiniteLossError after the first batch at which the running mean of the loss is not a finite number."""

    def __init__(self, phase: str):
        super().__init__()
        self._phase = phase
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        rate = learning_rate(self.model)
        raise NonFiniteLossError(
            f"the loss became {loss} in phase {self._phase!r}, epoch {self._epoch + 1}, step {batch + 1}, at learning "
            f"rate {rate:g}; a smaller training.{self._phase}.learning_rate may help"
        )


class StepProgress(keras.callbacks.Callback):
    """Prints a line every `every` seconds of a long epoch: count, rate, time left in the epoch."""

    def __init__(self, phase: str, last_epoch: int, images: int, steps: int, every: float = 20.0):
        super().__init__()
        self._phase, self._last, self._images, self._steps, self._every = phase, last_epoch, images, steps, every
        self._epoch, self._start, self._said = 0, 0.0, 0.0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._epoch = epoch
        self._start = self._said = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        now = time.monotonic()
        done = batch + 1
        if now - self._said < self._every or done >= self._steps:
            return
        self._said = now
        elapsed = now - self._start
        _log.info(
            "  %s epoch %d/%d: %d of %d steps, %.0f images/s, %s left in the epoch",
            *(self._phase, self._epoch + 1, self._last, done, self._steps, done / self._steps * self._images / elapsed),
            _duration(elapsed / done * (self._steps - done)),
        )


def log_epoch(phase: str, epoch: int, last_epoch: int, figures: Mapping[str, float], seconds: float) -> None:
    """One line for an epoch that has ended.

    Args:
      phase: its name.
      epoch: counted from 1 over both phases.
      last_epoch: of the phase, if it does not stop early.
      figures: `loss`, `accuracy` and the same on eval, with the prefix `val_`.
      seconds: duration of an epoch.
    """
    _log.info(
        "  %s epoch %d/%d: loss %.4f, accuracy %.4f; eval loss %.4f, accuracy %.4f; %.1f s per epoch, %s left",
        *(phase, epoch, last_epoch, figures["loss"], figures["accuracy"], figures["val_loss"], figures["val_accuracy"]),
        *(seconds, _duration(seconds * (last_epoch - epoch))),
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
