"""The plan of a search: successive halving, https://arxiv.org/abs/1502.07943.

All trials run a short training, on a rung; the best quarter of them run a longer one on the next rung, and so on. Each
training has a learning-rate schedule of its own length: half of a long schedule, with high rates to its end, would say
little about the whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from config.classifier import ClassifierConfig
from config.training import PhaseConfig

ETA = 4  # one trial of so many goes on to the next rung
TRIALS_PER_HEAD = 4  # on the first rung; phase 1 is trained once for them, and so can be longer
FOLDS = 3
# A search shall cost two trainings at most. All figures are image visits (images times epochs): the whole search in
# multiples of one training's, and a trial's fixed cost (to compile and to score: 2 to 3 s on two CPU cores, where a
# visit costs 5 ms) as the visits that it could make in that time.
_WHOLE, _LEAST, _FIXED = 1.7, 0.9, 500
_FIRST_RUNG = 0.4  # its share of all; of the rest, each rung has more than the one before it
_OF_IMAGES = 0.4  # of a share, as an exponent; the rest is that of the epochs
_SMALLEST_PER_CLASS = 8  # images


@dataclass(frozen=True)
class Rung:
    """Trainings of one length.

    Attributes:
      trials: how many trials run it.
      share: image visits of a trial, as a share of those of a whole training; above 0, at most 1.
      folds: on how many folds a trial is scored; 1 without cross-validation.
    """

    trials: int
    share: float
    folds: int

    def images(self, available: int, classes: int) -> int:
        """How many training images are used: a larger part of them than of the epochs, of which one is the least."""
        wanted = math.ceil(available * self.share**_OF_IMAGES)
        return min(available, max(_SMALLEST_PER_CLASS * classes, wanted))

    def shortened(self, config: ClassifierConfig, images: int, classes: int) -> ClassifierConfig:
        """A configuration with fewer epochs in both phases.

        Phase 2 of a whole training begins with a head that is trained; so phase 1 is shortened less.

        Args:
          config: of a whole training.
          images: that a whole training has.
          classes: how many there are.
        """

        def shortened(phase: PhaseConfig, share: float) -> PhaseConfig:
            return phase.model_copy(update={"epochs": max(1, round(phase.epochs_for(images, classes) * share))})

        training, share = config.training, self.share ** (1 - _OF_IMAGES)
        shorter: dict[str, PhaseConfig] = {"head": shortened(training.head, min(1.0, TRIALS_PER_HEAD * share))}
        if training.fine_tune is not None:
            shorter["fine_tune"] = shortened(training.fine_tune, share)
        return config.model_copy(update={"training": training.model_copy(update=shorter)})


def plan(trials: int, images: int, epochs: int, cross_validated: bool) -> list[Rung]:
    """The rungs of a search, the shortest trainings first.

    Args:
      trials: how many there are on the first rung.
      images: that a trial can train on at most.
      epochs: of both phases of a whole training.
      cross_validated: whether the last rung is scored on all folds, and the others on one.
    """
    counts = [trials]
    while counts[-1] > ETA:
        counts.append(max(2, round(counts[-1] / ETA)))
    folds = [1] * (len(counts) - 1) + [FOLDS if cross_validated else 1]
    runs = [count * several for count, several in zip(counts, folds, strict=True)]
    whole = max(_WHOLE - _FIXED * sum(runs) / (images * epochs), _LEAST)
    weights = range(1, len(counts))
    parts = [_FIRST_RUNG, *((1 - _FIRST_RUNG) * weight / sum(weights) for weight in weights)] if weights else [1.0]
    return [
        Rung(count, min(1.0, whole * part / run), several)
        for count, part, run, several in zip(counts, parts, runs, folds, strict=True)
    ]
