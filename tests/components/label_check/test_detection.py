import numpy as np
import pytest

from components.label_check import detection

BLOCKS = (6, 10)


def drawn(images: int, classes: int = 4, seed: int = 0, distance: float = 4.0) -> tuple[np.ndarray, np.ndarray]:
    """Features of classes that overlap a little, and the true labels."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, images)
    centres = random.normal(size=(classes, sum(BLOCKS)))
    centres *= distance / np.linalg.norm(centres, axis=1, keepdims=True)
    return (centres[labels] + random.normal(size=(images, sum(BLOCKS)))).astype(np.float16), labels


def planted(labels: np.ndarray, share: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random, classes = np.random.default_rng(seed), labels.max() + 1
    wrong = np.zeros(len(labels), bool)
    wrong[random.permutation(len(labels))[: round(share * len(labels))]] = True
    return np.where(wrong, (labels + random.integers(1, classes, len(labels))) % classes, labels), wrong


def judge(features: np.ndarray, labels: np.ndarray) -> detection.Judged:
    return detection.judge(features, labels, np.arange(len(labels)), BLOCKS)


def test_planted_errors_are_found_and_their_true_class_is_named():
    features, truth = drawn(1500)
    labels, wrong = planted(truth, 0.05)
    found = judge(features, labels)
    named = found.wrong >= 0.45
    assert (named & wrong).sum() >= 0.85 * wrong.sum()
    assert (named & wrong).sum() >= 0.9 * named.sum()
    assert (found.likely[named & wrong] == truth[named & wrong]).mean() > 0.95
    assert (found.likely != labels).all()
    assert found.noise == pytest.approx(0.05, abs=0.015)


def test_nothing_is_called_wrong_where_all_labels_are_right_though_classes_overlap():
    features, truth = drawn(1500, distance=3.0)
    found = judge(features, truth)
    assert (found.own < 0.2).sum() > 5, "some images are hard"
    assert (found.wrong >= 0.45).sum() <= 1
    assert found.noise < 0.01


def test_a_classifier_never_saw_the_images_that_it_judges():
    """With more features than images, a classifier knows each label that it was fitted on by heart."""
    random = np.random.default_rng(0)
    features, labels = random.normal(size=(60, 200)).astype(np.float32), random.integers(0, 2, 60)
    found = detection.judge(features, labels, np.arange(60), (200,))
    assert 0.3 < found.own.mean() < 0.7


def test_images_of_one_unit_are_in_one_fold_and_each_class_is_in_all():
    labels = np.repeat([0, 1], [40, 10])
    units = np.array([f"scene {index // 2}" for index in range(50)])
    fold_of = detection.folds(labels, units)
    assert (fold_of[::2] == fold_of[1::2]).all()
    for label in (0, 1):
        assert set(fold_of[labels == label]) == set(range(detection.FOLDS))


def test_a_class_with_few_images_is_not_judged():
    features, labels = drawn(300, classes=2)
    odd = np.flatnonzero(labels == 0)[: detection.FEWEST_IMAGES - 1]
    labels[odd] = 2  # they look like class 0
    wrongs, is_wrong = planted(labels, 0.05)
    wrongs[odd] = 2
    found = detection.judge(features, wrongs, np.arange(300), BLOCKS)
    rare = wrongs == 2
    few = rare.sum() < detection.FEWEST_IMAGES
    assert (found.judged == (~rare if few else True)).all()
    assert not few or found.wrong[rare].max() == 0
    assert is_wrong.any()


def test_images_beyond_those_that_are_fitted_are_judged_too(monkeypatch):
    features, truth = drawn(1200)
    labels, wrong = planted(truth, 0.05)
    monkeypatch.setattr(detection, "MOST_FITTED", 400)
    named = judge(features, labels).wrong >= 0.45
    assert named.shape == (1200,)
    assert (named & wrong).sum() >= 0.75 * wrong.sum()
    assert (named & wrong).sum() >= 0.9 * named.sum()


def test_the_same_images_give_the_same_result():
    features, truth = drawn(300)
    labels, _ = planted(truth, 0.05)
    one, other = judge(features, labels), judge(features, labels)
    assert (one.wrong == other.wrong).all() and (one.own == other.own).all()


@pytest.mark.parametrize("noise", [0.02, 0.2])
def test_the_share_of_wrong_labels_and_the_temperature_are_those_that_made_the_labels(noise):
    random = np.random.default_rng(3)
    logits = random.normal(scale=3, size=(20_000, 5))
    answers = np.exp(logits / 2) / np.exp(logits / 2).sum(axis=1, keepdims=True)
    truth = (answers.cumsum(axis=1) < random.random((20_000, 1))).sum(axis=1)
    labels = np.where(random.random(20_000) < noise, (truth + random.integers(1, 5, 20_000)) % 5, truth)
    temperature, estimated = detection.fit_noise(logits, labels)
    assert temperature == pytest.approx(2, rel=0.1)
    assert estimated == pytest.approx(noise, abs=0.015)


def test_a_few_wrong_labels_among_images_that_are_easy_to_tell_apart_are_found():
    """That a classifier is a little less sure of all images explains them nearly as well."""
    features, truth = drawn(220, classes=2, distance=40.0)
    for seed in range(4):
        labels, wrong = planted(truth, 4 / 220, seed)
        assert ((judge(features, labels).wrong >= 0.45) == wrong).all()


def test_one_label_in_six_may_be_wrong():
    features, truth = drawn(1500)
    labels, wrong = planted(truth, 1 / 6)
    found = judge(features, labels)
    named = found.wrong >= 0.45
    assert (named & wrong).sum() >= 0.85 * wrong.sum()
    assert found.noise == pytest.approx(1 / 6, abs=0.03)
