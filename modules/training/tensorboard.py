"""What TensorBoard shows of a training: one run, with one curve over both phases."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from modules.training.logistic import Trial

# Tag of a curve, and the figure of an epoch that it shows.
SCALARS = {
    "loss/train": "loss",
    "loss/eval": "val_loss",
    "accuracy/train": "accuracy",
    "accuracy/eval": "val_accuracy",
    "learning_rate": "learning_rate",
}
PHASE, PHASE_TEXT, TRIAL = "phase", "phase_text", "trial"


def run_name(backbone: str, head: str) -> str:
    """A name that a person tells from others: what is trained, and when the training began, in UTC."""
    return f"{backbone}-{head}-{datetime.datetime.now(datetime.UTC):%Y%m%d-%H%M%SZ}"


class TrainingLog:
    """The log of one training. The horizontal axis is the epoch, counted from 1 over both phases.

    Scalars: SCALARS, and `phase` (1: head, 2: fine-tuning). The text `phase_text` says where each phase begins, and
    whether it was rolled back.
    """

    def __init__(self, directory: str | Path):
        """Opens a file, the only one of this training.

        Args:
          directory: a new one; TensorBoard takes its name for that of the run.
        """
        self._writer = tf.summary.create_file_writer(str(directory))
        self._phase: str | None = None
        self._number = 0

    def epoch(self, phase: str, epoch: int, figures: Mapping[str, float]) -> None:
        """Adds a point to each curve.

        Args:
          phase: its name.
          epoch: counted from 1 over both phases.
          figures: those that SCALARS names.
        """
        with self._writer.as_default(epoch):
            if phase != self._phase:
                self._phase, self._number = phase, self._number + 1
                tf.summary.text(PHASE_TEXT, f"{phase}: from epoch {epoch} on")
            for tag, figure in SCALARS.items():
                tf.summary.scalar(tag, figures[figure])
            tf.summary.scalar(PHASE, self._number)
        self._writer.flush()

    def trial(self, number: int, trial: Trial) -> None:
        """Adds a penalty that was tried to fit a head of kind logistic.

        Args:
          number: counted from 1; the horizontal axis.
          trial: its figures.
        """
        with self._writer.as_default(number):
            for figure, value in dataclasses.asdict(trial).items():
                tf.summary.scalar(f"{TRIAL}/{figure}", value)
        self._writer.flush()

    def rolled_back(self, phase: str, epoch: int) -> None:
        """Marks that the weights of a phase, which ended with this epoch, are not used."""
        with self._writer.as_default(epoch):
            tf.summary.text(PHASE_TEXT, f"{phase}: rolled back after epoch {epoch}")

    def repeat(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Adds the epochs of an unfinished training that is continued: its own file is that of another run.

        Args:
          records: of each phase, its name as `phase`, `first_epoch` and the figures of its `epochs`.
        """
        for record in records:
            for epoch, figures in enumerate(record["epochs"], start=record["first_epoch"]):
                self.epoch(record["phase"], epoch, figures)

    def close(self) -> None:
        """Closes the file."""
        self._writer.close()


class NoLog(TrainingLog):
    """For trials, of which TensorBoard shows nothing."""

    def __init__(self) -> None:
        """Opens no file."""

    def epoch(self, phase: str, epoch: int, figures: Mapping[str, float]) -> None:
        """Does nothing, nor do the other methods."""

    def rolled_back(self, phase: str, epoch: int) -> None: ...

    def trial(self, number: int, trial: Trial) -> None: ...

    def repeat(self, records: Iterable[Mapping[str, Any]]) -> None: ...

    def close(self) -> None: ...
