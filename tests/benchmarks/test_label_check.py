import numpy as np

from benchmarks import label_check


def test_planted_errors_are_as_many_as_asked_for_and_spread_over_the_other_classes():
    labels = np.arange(3000) % 5
    planted, is_wrong = label_check.plant(labels, 0.1, seed=1)
    assert is_wrong.sum() == 300
    assert ((planted != labels) == is_wrong).all()
    steps = (planted - labels)[is_wrong] % 5
    assert np.bincount(steps, minlength=5)[0] == 0 and np.bincount(steps)[1:].min() > 50
    assert set(planted) == set(range(5))


def test_a_seed_always_plants_the_same_errors():
    labels = np.arange(100) % 3
    one, other, third = (label_check.plant(labels, 0.2, seed)[0] for seed in (1, 1, 2))
    assert (one == other).all() and (one != third).any()
