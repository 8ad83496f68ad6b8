"""How many sound images the threshold rejects."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.serving import novelty_threshold


def rejected(eval_images: int, rate: float, draws: int, train_images: int = 0, closer: float = 1.0) -> float:
    """The mean share of fresh images that are rejected, over draws of eval and train; distances are chi-square.

    Args:
      closer: the distances of training images are those of eval divided by this.
    """
    rng = np.random.default_rng(eval_images)
    shares = []
    for _ in range(draws):
        evaluation, fresh = rng.chisquare(8, eval_images), rng.chisquare(8, 4000)
        train = rng.chisquare(8, train_images) / closer
        shares.append((fresh > novelty_threshold.choose(evaluation, train, rate).distance).mean())
    return float(np.mean(shares))


@pytest.mark.parametrize(("images", "rate"), [(99, 0.01), (146, 0.01), (1000, 0.01), (19, 0.05), (30, 0.2)])
def test_the_rate_holds_for_fresh_images_like_those_of_eval(images, rate):
    """The share of one draw has a beta distribution, whose deviation is about the root of rate / images."""
    draws = 400
    beyond = 3 * np.sqrt(rate / images / draws)
    assert rate / 3 < rejected(images, rate, draws) <= rate + beyond


def test_a_small_eval_split_takes_distances_of_training_images_and_says_that_nothing_is_guaranteed():
    chosen = novelty_threshold.choose(np.arange(1.0, 99.0), np.arange(1.0, 99.0), 0.01)
    assert (chosen.guaranteed, chosen.chosen_by) == (False, novelty_threshold.EVAL_AND_TRAIN)
    assert novelty_threshold.choose(np.arange(1.0, 100.0), np.arange(0.0), 0.01).guaranteed
    with_train = rejected(30, 0.01, 100, train_images=1000, closer=1.5)
    alone = rejected(30, 0.01, 100, train_images=5)
    assert with_train < 0.02 < alone, "training images are closer, and there are more of them"


@settings(max_examples=50)
@given(shift=st.floats(-100, 100), factor=st.floats(0.01, 100), count=st.integers(1, 60))
def test_the_threshold_moves_and_stretches_with_the_distances(shift, factor, count):
    """Distances may be negative, and have no natural zero."""
    rng = np.random.default_rng(count)
    evaluation, train = rng.chisquare(8, count), rng.chisquare(8, 200) / 2
    plain = novelty_threshold.choose(evaluation, train, 0.02)
    moved = novelty_threshold.choose(factor * evaluation + shift, factor * train + shift, 0.02)
    assert moved.distance == pytest.approx(factor * plain.distance + shift, rel=1e-6, abs=1e-6)
    assert moved.margin == pytest.approx(factor * plain.margin, rel=1e-6, abs=2e-6)


def test_distances_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="eval's images are not finite"):
        novelty_threshold.choose(np.array([1.0, np.nan]), np.array([1.0]), 0.5)


def test_the_record_is_read_as_it_was_written(tmp_path):
    assert novelty_threshold.read(tmp_path) is None, "a run without the section, or of an earlier release"
    chosen = novelty_threshold.choose(np.arange(200.0), np.arange(0.0), 0.01)
    novelty_threshold.write(chosen, tmp_path)
    assert novelty_threshold.read(tmp_path) == chosen
