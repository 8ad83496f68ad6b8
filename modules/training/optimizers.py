"""The optimizer of a phase, with its learning-rate schedule."""

from __future__ import annotations

from typing import Any

import keras

from config.training import PhaseConfig


def make_optimizer(phase: PhaseConfig, steps: int) -> keras.optimizers.Optimizer:
    """Makes a new optimizer.

    Args:
      phase: a phase's section of the configuration.
      steps: batches in all epochs of the phase, for the schedule.
    """
    rate: Any = phase.learning_rate
    if phase.schedule == "cosine":
        # Loshchilov & Hutter, https://arxiv.org/abs/1608.03983, after a linear warm-up.
        warmup = round(phase.warmup * steps)
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0 if warmup else phase.learning_rate,
            decay_steps=max(1, steps - warmup),
            warmup_target=phase.learning_rate if warmup else None,
            warmup_steps=warmup,
        )
    clip = {"global_clipnorm": phase.clip_norm} if phase.clip_norm else {}
    if phase.optimizer == "sgd":
        return keras.optimizers.SGD(rate, momentum=phase.momentum, **clip)
    if phase.optimizer == "adamw":
        return keras.optimizers.AdamW(rate, weight_decay=phase.weight_decay, **clip)
    return keras.optimizers.Adam(rate, **clip)
