"""Simulated answers of two models to the same images under corruptions: wrong ones cluster on difficult images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.stats

from components.evaluator.stress.judgement import Answers

# Shares of a score's variance: of the image, of the image under one corruption, and of the model's own chance.
IMAGE, PICTURE, MODEL = 0.55, 0.37, 0.08


def drawn(images: int, candidate: Sequence[float], baseline: Sequence[float], seed: int) -> tuple[Answers, Answers]:
    """Draws answers; the accuracies of both models are those of many images, not of these.

    Args:
      images: how many.
      candidate: its accuracy without corruption, then under each.
      baseline: the same of the model in production.
      seed: of all random numbers.
    """
    generator = np.random.default_rng(seed)
    of_image = generator.standard_normal((images, 1)) * IMAGE**0.5
    of_picture = generator.standard_normal((images, len(candidate))) * PICTURE**0.5

    def answers(accuracies: Sequence[float]) -> Answers:
        score = of_image + of_picture + generator.standard_normal(of_picture.shape) * MODEL**0.5
        right = score < scipy.stats.norm.ppf(accuracies)
        return Answers(right[:, 0], right[:, 1:])

    return answers(candidate), answers(baseline)
