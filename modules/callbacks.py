"""What watches a fit: progress for a person, and a stop when the loss is no number any more."""

from __future__ import annotations

import logging
import math
import time

import keras

_log = logging.getLogger("regraft.trainer")


class NonFiniteLossError(RuntimeError):
    """The loss became NaN or infinite; names the step and the learning rate."""


class StopOnNonFiniteLoss(keras.callbacks.Callback):
    """Raises NonFiniteLossError at the first batch after which the running mean of the loss is no finite number."""

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
        rate = float(self.model.optimizer.learning_rate)
        raise NonFiniteLossError(
            f"the loss became {loss} in phase {self._phase!r}, epoch {self._epoch + 1}, step {batch + 1}, at learning "
            f"rate {rate:g}; a smaller training.{self._phase}.learning_rate may help"
        )


class Progress(keras.callbacks.Callback):
    """One line an epoch, and within an epoch one every `every` seconds: count, rate, time left.

    The time left is of this phase, should it run all its epochs.
    """

    def __init__(self, phase: str, first_epoch: int, last_epoch: int, images: int, steps: int, every: float = 20.0):
        super().__init__()
        self._phase, self._first, self._last = phase, first_epoch, last_epoch
        self._images, self._steps, self._every = images, steps, every
        self._start = self._epoch_start = self._said = time.monotonic()
        self._epoch = first_epoch

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._start = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._epoch = epoch
        self._epoch_start = self._said = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        now = time.monotonic()
        if now - self._said < self._every or batch + 1 >= self._steps:
            return
        self._said = now
        done = (batch + 1) / self._steps
        rate = done * self._images / (now - self._epoch_start)
        _log.info(
            "  %s epoch %d/%d: %d of %d steps, %.0f images/s, %s left",
            *(self._phase, self._epoch + 1, self._last, batch + 1, self._steps, rate),
            _duration(self._left(self._epoch - self._first + done)),
        )

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        logs = logs or {}
        _log.info(
            "  %s epoch %d/%d: loss %.4f, accuracy %.4f; eval loss %.4f, accuracy %.4f; %.1f s, %s left",
            *(self._phase, epoch + 1, self._last, logs["loss"], logs["accuracy"]),
            *(logs["val_loss"], logs["val_accuracy"], time.monotonic() - self._epoch_start),
            _duration(self._left(epoch + 1 - self._first)),
        )

    def _left(self, epochs_done: float) -> float:
        return (time.monotonic() - self._start) / epochs_done * (self._last - self._first - epochs_done)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
