"""Fits a head of kind logistic on kept activations, in place of the phases of phases.py."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from config.classifier import ClassifierConfig
from modules import heads
from modules.data.cached_features import FeatureTable
from modules.training import logistic
from modules.training.logistic import Examples, Fitted, Options, Trial
from modules.training.phases import HEAD_PHASE
from modules.training.tensorboard import TrainingLog

_log = logging.getLogger("regraft.trainer")

_JUDGES = {logistic.EVAL: "eval", logistic.CROSS_VALIDATION: "cross-validation", logistic.GIVEN: "the configuration"}


def fit(
    head: keras.Model,
    widths: tuple[int, ...],
    tables: tuple[FeatureTable, FeatureTable],
    class_weights: Sequence[float] | None,
    config: ClassifierConfig,
    log: TrainingLog,
) -> list[dict[str, Any]]:
    """Fits the head, and sets its weights.

    Args:
      head: of kind logistic.
      widths: how many of the features are of each block; see blocks.widths.
      tables: pooled features of the training and the eval split.
      class_weights: of the examples of each class, by index; None for 1.
      config: its sections `head` and `training`.
      log: for TensorBoard.

    Returns:
      one record as phases.fit gives them, with no epochs and no learning rate, since there are none; and besides:
      `loss`, `accuracy`, `val_loss` and `val_accuracy` of the fitted head, and what logistic.Fitted.record gives.
    """
    train, evaluation = tables
    options = _options(config, len(train.counts), widths)
    weights = train.weights if class_weights is None else train.weights * np.asarray(class_weights)[train.labels]
    numbers = iter(range(1, 100))

    def on_trial(trial: Trial) -> None:
        log.trial(next(numbers), trial)
        _log.info(
            "  weight of earlier blocks %g, penalty %g: loss %.4f; %s loss %.4f, accuracy %.4f; %.1f s",
            *(trial.weight, trial.penalty, trial.loss, _JUDGES[options.judge(evaluation.images)]),
            *(trial.val_loss, trial.val_accuracy, trial.seconds),
        )

    fitted = logistic.fit(
        Examples(train.activations, train.labels, weights),
        Examples(evaluation.activations, evaluation.labels),
        options,
        on_trial,
    )
    _report(fitted)
    heads.set_answer(head, fitted.kernel, fitted.bias)
    return [
        {
            "phase": HEAD_PHASE,
            "first_epoch": 1,
            "learning_rate": None,
            "trainable_weights": head.count_params(),
            "eval_loss": fitted.figures["val_loss"],
            "rolled_back": False,
            "reason": "",
            "epochs": [],
            **fitted.figures,
            **fitted.record(),
        }
    ]


def _options(config: ClassifierConfig, classes: int, widths: tuple[int, ...]) -> Options:
    return Options(
        classes=classes,
        blocks=widths,
        penalty=None if config.head.penalty == "auto" else float(config.head.penalty),
        label_smoothing=config.training.loss.label_smoothing,
        seed=config.training.seed,
    )


def _report(fitted: Fitted) -> None:
    if not fitted.converged:
        _log.warning("  warning: the head has not reached its optimum after %d steps", fitted.iterations)
    _log.info(
        "  head fitted with weight %g and penalty %g, chosen by %s: loss %.4f, accuracy %.4f; eval loss %.4f, "
        "accuracy %.4f",
        *(fitted.weight, fitted.penalty, _JUDGES[fitted.chosen_by]),
        *(fitted.figures[name] for name in ("loss", "accuracy", "val_loss", "val_accuracy")),
    )
