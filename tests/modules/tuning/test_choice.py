"""The configuration is kept, unless another trial is better beyond chance."""

import math

import numpy as np
import pytest

from modules.tuning import choice


class Scores:
    """Stands for an oracle after a search: candidate to score, of each rung."""

    def __init__(self, *rungs):
        self._rungs, self.rungs = rungs, len(rungs)

    def scores(self, rung):
        return self._rungs[rung]


def losses_with(gain, images=100):
    """Losses of candidate 1 are lower by `gain` on average; their deviation is 1 and so its standard error 0.1."""
    noise = np.resize([-1.0, 1.0], images)
    return lambda candidate, rung: np.full(images, 5.0) if candidate == 0 else 5.0 - gain + noise


def test_a_trial_that_is_better_beyond_chance_wins():
    scores = Scores({0: 5.0, 1: 4.0, 2: 4.5}, {0: 5.0, 1: 4.7})
    found = choice.choose(scores, losses_with(0.3))
    assert (found.candidate, found.rival) == (1, 1)
    assert (found.gain, found.error) == pytest.approx((0.3, 0.1), rel=0.01)


@pytest.mark.parametrize("gain", [0.15, -0.3])
def test_otherwise_the_configuration_is_kept(gain):
    found = choice.choose(Scores({0: 5.0, 1: 5.0 - gain}), losses_with(gain))
    assert (found.candidate, found.rival, found.gain) == (0, 1, pytest.approx(gain))


def test_a_configuration_that_diverged_loses():
    assert choice.choose(Scores({0: math.inf, 1: 9.0, 2: 8.0}), losses_with(0.0)).candidate == 2


def test_a_rung_that_only_the_configuration_reached_decides_nothing():
    found = choice.choose(Scores({0: 5.0, 1: 4.5}, {0: 4.0}), losses_with(0.5))
    assert (found.candidate, found.rival) == (1, 1)
    assert choice.choose(Scores({0: 5.0}, {}), losses_with(0.5)) == choice.Choice(0)


def test_one_image_shows_nothing():
    assert choice.choose(Scores({0: 5.0, 1: 1.0}), losses_with(4.0, images=1)).candidate == 0


def test_without_a_finite_score_there_is_no_best():
    with pytest.raises(LookupError):
        choice.choose(Scores({0: math.inf, 1: math.inf}), losses_with(0.0))
