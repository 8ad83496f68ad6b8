import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from components.evaluator.confidence import (
    POWER,
    change_bounds,
    change_probability,
    images_for_share,
    images_to_see_change,
    share_bounds,
)

CONFIDENCE = st.floats(0.6, 0.999)


@st.composite
def shares(draw):
    trials = draw(st.integers(1, 5000))
    return draw(st.integers(0, trials)), trials


@st.composite
def pairs(draw):
    trials = draw(st.integers(1, 3000))
    gained = draw(st.integers(0, trials))
    return gained, draw(st.integers(0, trials - gained)), trials


@given(shares(), CONFIDENCE)
def test_bounds_of_a_share_are_the_roots_of_wilsons_equation(share, confidence):
    """At a bound, the share is as many standard deviations away as the confidence allows."""
    right, trials = share
    quantile = scipy.stats.norm.ppf(confidence)
    for bound, sign in zip(share_bounds(right, trials, confidence), (1, -1), strict=True):
        if 0 < bound < 1:
            deviation = math.sqrt(bound * (1 - bound) / trials)
            assert (right / trials - bound) / deviation == pytest.approx(sign * quantile, rel=1e-6, abs=1e-6)
        else:
            assert right in (0, trials)


def test_without_trials_every_value_is_possible():
    assert share_bounds(0, 0, 0.95) == (0.0, 1.0)
    assert change_bounds(0, 0, 0, 0.95) == (-1.0, 1.0)
    assert change_probability(0, 0) == 1.0


@given(pairs(), CONFIDENCE)
def test_bounds_of_a_change_enclose_it_and_are_symmetric(pair, confidence):
    gained, lost, trials = pair
    lower, upper = change_bounds(gained, lost, trials, confidence)
    change = (gained - lost) / trials
    assert -1 <= lower <= change + 1e-9 and change - 1e-9 <= upper <= 1
    assert change_bounds(lost, gained, trials, confidence) == pytest.approx((-upper, -lower), abs=1e-7)
    surer = change_bounds(gained, lost, trials, (1 + confidence) / 2)
    assert surer[0] <= lower + 1e-9 and upper - 1e-9 <= surer[1]


@given(pairs(), CONFIDENCE)
def test_a_bound_excludes_no_change_exactly_where_mcnemars_test_does(pair, confidence):
    gained, lost, trials = pair
    lower, upper = change_bounds(gained, lost, trials, confidence)
    score = (gained - lost) / math.sqrt(gained + lost) if gained + lost else 0.0
    quantile = scipy.stats.norm.ppf(confidence)
    if abs(abs(score) - quantile) > 1e-5:
        assert (lower > 0, upper < 0) == (score > quantile, score < -quantile)


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_probability_of_a_change_is_that_of_fair_coins(gained, lost):
    trials = gained + lost
    tail = sum(math.comb(trials, k) for k in range(min(gained, lost) + 1)) / 2**trials
    assert change_probability(gained, lost) == pytest.approx(min(1.0, 2 * tail))


def refused(true_change: float, disagreement: float, images: int, max_regression: float) -> float:
    """Share of many simulated test splits in which the change's upper bound is below the bound of the gate."""
    share_gained = (disagreement + true_change) / 2
    drawn = np.random.default_rng(0).multinomial(
        images, (share_gained, disagreement - share_gained, 1 - disagreement), size=2000
    )
    upper = [change_bounds(gained, lost, images, 0.95)[1] for gained, lost, _ in drawn]
    return float(np.mean(np.array(upper) < -max_regression))


@pytest.mark.parametrize("images", [50, 300, 2000])
@pytest.mark.parametrize("disagreement", [0.02, 0.1, 0.3])
def test_an_equal_candidate_is_refused_no_more_often_than_stated(images, disagreement):
    """Chance refuses 1 in 20 if no regression is allowed, a little more since images are whole; fewer if one is."""
    assert refused(0.0, disagreement, images, max_regression=0.0) <= 0.065
    assert refused(0.0, disagreement, images, max_regression=0.01) <= 0.05


# Models that disagree on few images cannot differ by much.
@pytest.mark.parametrize(
    ("bound", "disagreement"), [(0.005, 0.03), (0.01, 0.03), (0.01, 0.1), (0.03, 0.1), (0.03, 0.3)]
)
def test_a_candidate_worse_by_twice_the_bound_is_refused_with_the_stated_power(bound, disagreement):
    images = images_to_see_change(bound, disagreement, 0.95)
    assert POWER - 0.05 <= refused(-2 * bound, disagreement, images, bound) <= POWER + 0.1


@pytest.mark.parametrize("bound", [0.0, 0.5, 0.52, 0.95])
def test_as_many_images_as_stated_prove_a_share_and_one_fewer_does_not(bound):
    images = images_for_share(bound, 0.95)
    assert share_bounds(images, images, 0.95)[0] >= bound - 1e-9
    if images > 1:
        assert share_bounds(images - 1, images - 1, 0.95)[0] < bound
    assert images_for_share(1.0, 0.95) is None
