"""The plan of a search."""

import pytest

from config.classifier import ClassifierConfig
from modules.tuning import rungs
from modules.tuning.rungs import FOLDS, Rung


@pytest.mark.parametrize("cross_validated", [False, True])
@pytest.mark.parametrize("images", [60, 1_000, 100_000])
def test_twenty_trials_cost_less_than_two_trainings(images, cross_validated):
    plan = rungs.plan(20, images, 20, cross_validated)
    assert [rung.trials for rung in plan] == [20, 5, 2]
    assert [rung.folds for rung in plan] == [1, 1, FOLDS if cross_validated else 1]
    shares = [rung.share for rung in plan]
    assert shares == sorted(shares)
    assert 0.89 < sum(rung.trials * rung.folds * rung.share for rung in plan) < 2


def test_more_images_leave_more_time_to_train():
    def whole(images):
        return sum(rung.trials * rung.share for rung in rungs.plan(20, images, 20, False))

    assert whole(500) < whole(1_500) < whole(50_000)


@pytest.mark.parametrize(("trials", "counts"), [(1, [1]), (4, [4]), (5, [5, 2]), (3, [3]), (64, [64, 16, 4])])
def test_the_best_quarter_goes_on(trials, counts):
    plan = rungs.plan(trials, 1000, 20, False)
    assert [rung.trials for rung in plan] == counts
    assert all(0 < rung.share <= 1 for rung in plan)


def test_a_rung_has_fewer_images_and_epochs():
    phases = {"head": {"epochs": 10}, "fine_tune": {"epochs": 10}}
    config = ClassifierConfig.model_validate({"training": phases})
    short = Rung(trials=3, share=0.01, folds=1).shortened(config, 1000, 10).training
    assert (short.head.epochs, short.fine_tune.epochs) == (3, 1)
    rung = Rung(trials=3, share=0.25, folds=1)
    assert rung.shortened(config, 1000, 10).training.head == config.training.head
    assert rung.shortened(config, 1000, 10).training.fine_tune.epochs == 4
    auto = rung.shortened(ClassifierConfig(), 1000, 10).training
    assert auto.fine_tune.epochs == 9  # of 20
    assert rung.images(1000, classes=3) == 575
    assert rung.images(1000, classes=100) == 800  # some of each class
    assert rung.images(20, classes=100) == 20
    without = ClassifierConfig.model_validate({"training": {"fine_tune": None}})
    assert rung.shortened(without, 1000, 10).training.fine_tune is None
