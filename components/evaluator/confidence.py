"""One-sided confidence bounds of shares and of paired differences, and how many images they need.

At confidence 0.95 the true value is beyond a bound with a probability of 0.05.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.optimize
import scipy.stats

from components.evaluator.estimates import Estimate

POWER = 0.8  # probability of detecting a difference that exists; the convention of Cohen, 1988
_EDGE = 1e-9  # distance from -1 and 1, where the score has no deviation, at which the search for a bound ends


def share(right: np.ndarray, confidence: float) -> Estimate:
    """A share of images, with Wilson's bounds.

    Args:
      right: bool [images], at least one.
      confidence: of each bound.
    """
    count, images = int(right.sum()), len(right)
    return Estimate(count / images, *share_bounds(count, images, confidence))


def paired(first: np.ndarray, second: np.ndarray, confidence: float) -> Estimate:
    """The second's share of recognised images minus the first's, with Tango's bounds.

    Args:
      first: bool [images], at least one.
      second: bool [images], the same images.
      confidence: of each bound.
    """
    gained, lost = discordant(first, second)
    return Estimate((gained - lost) / len(first), *change_bounds(gained, lost, len(first), confidence))


def discordant(first: np.ndarray, second: np.ndarray) -> tuple[int, int]:
    """How many images only the second recognises, and how many only the first; bool [images] each."""
    return int((second & ~first).sum()), int((first & ~second).sum())


def share_bounds(successes: int, trials: int, confidence: float) -> tuple[float, float]:
    """Wilson's score bounds of a share, https://doi.org/10.1080/01621459.1927.10502953.

    Args:
      successes: 0 to `trials`.
      trials: 0 or more; without trials the bounds are 0 and 1.
      confidence: of each bound, above 0.5 and below 1.

    Returns:
      lower and upper bound, in [0, 1].
    """
    if not trials:
        return 0.0, 1.0
    both = scipy.stats.binomtest(successes, trials).proportion_ci(2 * confidence - 1, method="wilson")
    return float(both.low), float(both.high)


def images_for_share(bound: float, confidence: float) -> int | None:
    """How many images, all classified correctly, are needed for a lower bound of `share_bounds` of at least `bound`.

    Args:
      bound: [0, 1].
      confidence: as in `share_bounds`.

    Returns:
      the number of images; None if no number is enough.
    """
    if bound >= 1:
        return None
    # Of n successes in n trials, Wilson's lower bound is n / (n + z²).
    return math.ceil(scipy.stats.norm.ppf(confidence) ** 2 * bound / (1 - bound) - _EDGE)


def change_bounds(gained: int, lost: int, trials: int, confidence: float) -> tuple[float, float]:
    """Tango's score bounds of the difference of two shares of the same trials.

    Source: https://doi.org/10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B.

    Args:
      gained: trials in which only the second of both succeeds.
      lost: trials in which only the first succeeds.
      trials: all, `gained + lost` or more; without trials the bounds are -1 and 1.
      confidence: of each bound, above 0.5 and below 1.

    Returns:
      lower and upper bound of the second's share minus the first's, in [-1, 1].
    """
    if not trials:
        return -1.0, 1.0
    quantile = scipy.stats.norm.ppf(confidence)
    return (
        _change_with_score(quantile, gained, lost, trials, -1.0),
        _change_with_score(-quantile, gained, lost, trials, 1.0),
    )


def _change_with_score(score: float, gained: int, lost: int, trials: int, if_none: float) -> float:
    """The supposed change that has a given score. The score falls as the supposed change rises."""

    def excess(change: float) -> float:
        return _score(change, gained, lost, trials) - score

    low, high = -1 + _EDGE, 1 - _EDGE
    if excess(low) < 0 or excess(high) > 0:
        return if_none
    return float(scipy.optimize.brentq(excess, low, high))


def _score(change: float, gained: int, lost: int, trials: int) -> float:
    """How many standard deviations the observed change is above a supposed one."""
    # The maximum-likelihood estimate of the share of lost trials, given the change: the root of a quadratic equation.
    b = (2 * trials - gained + lost) * change - gained - lost
    c = -lost * change * (1 - change)
    share_lost = (math.sqrt(max(b * b - 8 * trials * c, 0.0)) - b) / (4 * trials)
    variance = trials * (2 * share_lost + change * (1 - change))
    return (gained - lost - trials * change) / math.sqrt(max(variance, _EDGE))


def change_probability(gained: int, lost: int) -> float:
    """McNemar's exact test: the two-sided p-value. The null hypothesis is that both models are equally good.

    Args:
      gained: trials in which only the second of both succeeds.
      lost: trials in which only the first succeeds.

    Returns:
      in (0, 1]; 1 if there are no such trials. Source: https://doi.org/10.1007/BF02295996, with the exact binomial.
    """
    return float(scipy.stats.binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def images_to_see_change(change: float, disagreement: float, confidence: float) -> int:
    """How many images are needed to detect a change with probability POWER.

    Args:
      change: of a share, above 0.
      disagreement: share of the images that exactly one of both classifies correctly, in [0, 1]; at least `change`.
      confidence: of the bound that must be beyond zero.

    Returns:
      at least 1. Source: Connor, https://doi.org/10.2307/2531961, without the correction of small samples.
    """
    disagreement = max(disagreement, change)
    at_none, at_change = math.sqrt(disagreement), math.sqrt(max(disagreement - change**2, 0.0))
    quantiles = scipy.stats.norm.ppf(confidence) * at_none + scipy.stats.norm.ppf(POWER) * at_change
    return max(1, math.ceil((quantiles / change) ** 2))
