"""Which trial wins: the configuration itself, unless another trial is better beyond chance."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from modules.training import comparison
from modules.tuning.oracle import CONFIGURED, SuccessiveHalving

# The best of many trials is partly the luckiest one, and a second training with other random numbers differs too.
_STANDARD_ERRORS = 2.0


@dataclass(frozen=True)
class Choice:
    """What Trainer will train with.

    Attributes:
      candidate: the trial's number, from 0.
      rival: the best of the other trials, which was compared with the configuration; None if there was no comparison.
      gain: by how much the rival's mean log loss is lower than the configuration's, on the same images; below 0 if it
        is higher.
      error: standard error of the gain.
    """

    candidate: int
    rival: int | None = None
    gain: float = 0.0
    error: float = 0.0


def choose(oracle: SuccessiveHalving, losses: Callable[[int, int], np.ndarray]) -> Choice:
    """Compares the best trial with the configuration, on the longest trainings that both had.

    Args:
      oracle: of a search that has ended.
      losses: candidate and rung to the log loss of each image, [images]; the same images for all candidates of a rung.

    Raises:
      LookupError: if no trial has a finite score.
    """
    alone = None
    for rung in reversed(range(oracle.rungs)):
        finite = {candidate: score for candidate, score in oracle.scores(rung).items() if math.isfinite(score)}
        others = sorted(finite.keys() - {CONFIGURED}, key=lambda candidate: (finite[candidate], candidate))
        if others and CONFIGURED not in finite:
            return Choice(others[0])
        if others:
            return _compared(others[0], losses(others[0], rung), losses(CONFIGURED, rung))
        alone = Choice(CONFIGURED) if finite else alone
    if alone is None:
        raise LookupError("no trial has a score")
    return alone


def _compared(rival: int, own: np.ndarray, configured: np.ndarray) -> Choice:
    gain, error = comparison.mean_and_error(configured - own)
    return Choice(rival if gain > _STANDARD_ERRORS * error else CONFIGURED, rival, gain, error)
