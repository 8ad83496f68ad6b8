"""Which images a trial trains on, and on which it is scored."""

import numpy as np
import pytest

from modules.data.cached_features import FeatureTable
from modules.tuning import folds
from modules.tuning.folds import Folds
from modules.tuning.rungs import FOLDS


def table(first: int, counts: list[int], views: int) -> FeatureTable:
    """Each image's activation is its own number, and a hundredth more in each further view."""
    labels = np.repeat(np.arange(len(counts)), counts)
    numbers = first + np.arange(len(labels), dtype=np.float32)
    activations = numbers[:, None] + np.arange(views, dtype=np.float32) / 100
    return FeatureTable(activations[..., None], labels, np.ones(len(labels), np.float32), len(counts))


def numbers(found: FeatureTable) -> set[int]:
    return {int(value) for value in found.activations[:, 0, 0]}


TRAIN, EVAL = [30, 30, 6], [12, 12, 3]


def test_every_image_is_scored_once_and_never_trained_on_where_it_is_scored():
    both = Folds(table(0, TRAIN, 3), table(1000, EVAL, 1), cross_validated=True, seed=0)
    parts = [both.fold(index, 10_000) for index in range(FOLDS)]
    scored = [numbers(part.evaluation) for part in parts]
    everything = {*range(66), *range(1000, 1027)}
    assert set.union(*scored) == everything
    assert sum(map(len, scored)) == len(everything)
    for part, of_part in zip(parts, scored, strict=True):
        assert numbers(part.train) == everything - of_part
        assert part.evaluation.counts == [14, 14, 3]  # each class has the same share of each fold


def test_without_cross_validation_the_splits_stay_apart():
    split = Folds(table(0, TRAIN, 1), table(1000, EVAL, 1), cross_validated=False, seed=0).fold(0, 10_000)
    assert numbers(split.train) == set(range(66))
    assert numbers(split.evaluation) == set(range(1000, 1027))


def test_fewer_images_have_the_same_shares_of_classes_and_are_among_more(monkeypatch):
    monkeypatch.setattr(folds, "SCORED", 9)
    split = Folds(table(0, TRAIN, 1), table(1000, EVAL, 1), cross_validated=False, seed=0)
    few, more = split.fold(0, 22), split.fold(0, 44)
    assert few.train.counts == [10, 10, 2]
    assert split.fold(0, 3).train.counts == [1, 1, 1]
    assert few.evaluation.images == 22 and split.fold(0, 5).evaluation.images == 9
    assert numbers(few.train) < numbers(more.train)
    assert numbers(few.evaluation) <= numbers(more.evaluation)


def test_images_keep_their_views_in_training_alone():
    fold = Folds(table(0, TRAIN, 3), table(1000, EVAL, 1), cross_validated=True, seed=0).fold(0, 10_000)
    activations = fold.train.activations[..., 0]
    own = activations[:, 0] < 1000
    np.testing.assert_allclose(activations[own] - activations[own][:, :1], [[0, 0.01, 0.02]] * own.sum(), atol=1e-4)
    assert (activations[~own] == activations[~own][:, :1]).all() and (~own).any()  # images of eval have one view
    assert fold.evaluation.activations.shape[1] == 1


@pytest.mark.parametrize("seed", [1, 2])
def test_the_seed_decides(seed):
    def scored(seed):
        return numbers(Folds(table(0, TRAIN, 1), table(1000, EVAL, 1), True, seed).fold(0, 10_000).evaluation)

    assert scored(seed) == scored(seed) != scored(0)
