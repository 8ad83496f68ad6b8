"""Logistic regression against scikit-learn's, and what its options mean."""

import numpy as np
import pytest
import scipy.special
from sklearn.linear_model import LogisticRegression

from modules.training import logistic
from modules.training.logistic import Examples, Options

CLASSES = 3
PENALTY = 0.03


def draw(count: int, width: int = 12, seed: int = 0, noise: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping clouds; features of different sizes, and one that does not vary."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    features = np.random.default_rng(99).normal(size=(CLASSES, width))[labels] + noise * rng.normal(size=(count, width))
    features = features * np.logspace(-0.5, 0.5, width) + 5
    features[:, 0] = 7
    return features.astype(np.float32), labels


def probabilities(fitted, features):
    return scipy.special.softmax(features @ fitted.kernel + fitted.bias, axis=1)


def of_scikit_learn(features, labels, penalty, weights=None):
    """Probabilities by the library, with the penalty as its C, on features divided by one number."""
    scaled = (features - features.mean(axis=0)) / np.sqrt(features.astype(float).var(axis=0).mean())
    total = len(labels) if weights is None else weights.sum()
    model = LogisticRegression(C=1 / (total * penalty), tol=1e-8, max_iter=5000)
    return model.fit(scaled, labels, sample_weight=weights).predict_proba(scaled)


@pytest.mark.parametrize("count", [90, 9])  # 9: fewer images than features
def test_a_given_penalty_gives_the_optimum_for_features_as_they_are(count):
    features, labels = draw(count)
    fitted = logistic.fit(
        Examples(features[:, np.newaxis], labels),
        Examples(features[:, np.newaxis], labels),
        Options(CLASSES, penalty=PENALTY),
    )
    assert fitted.converged and fitted.chosen_by == logistic.GIVEN and not fitted.trials
    np.testing.assert_allclose(probabilities(fitted, features), of_scikit_learn(features, labels, PENALTY), atol=2e-3)
    expected = -np.log(probabilities(fitted, features)[np.arange(count), labels]).mean()
    assert fitted.figures["val_loss"] == pytest.approx(expected, rel=1e-3) == fitted.figures["loss"]


def test_a_weight_counts_as_that_many_examples_and_the_scale_of_all_does_not_matter():
    features, labels = draw(60)
    evaluation = Examples(features[:, np.newaxis], labels)
    weights = 1 + np.arange(60) % 2
    fitted, doubled = (
        logistic.fit(Examples(features[:, np.newaxis], labels, given), evaluation, Options(CLASSES, penalty=PENALTY))
        for given in (weights, 2 * weights)
    )
    expected = of_scikit_learn(features, labels, PENALTY, weights)
    np.testing.assert_allclose(probabilities(fitted, features), expected, atol=2e-3)
    np.testing.assert_allclose(doubled.kernel, fitted.kernel, atol=1e-4)


def test_views_share_the_weight_of_their_image():
    features, labels = draw(60)
    evaluation = Examples(features[:, np.newaxis], labels)
    other, _ = draw(60, seed=1)
    both = logistic.fit(
        Examples(np.stack([features, other], axis=1), labels, np.linspace(0.5, 2, 60)),
        evaluation,
        Options(3, penalty=PENALTY),
    )
    one = logistic.fit(
        Examples(
            np.concatenate([features, other])[:, np.newaxis], np.tile(labels, 2), np.tile(np.linspace(0.5, 2, 60), 2)
        ),
        evaluation,
        Options(3, penalty=PENALTY),
    )
    np.testing.assert_allclose(probabilities(both, features), probabilities(one, features), atol=1e-3)


def test_smoothed_labels_keep_the_probabilities_away_from_certainty():
    features, labels = draw(60, noise=0.01)
    examples = Examples(features[:, np.newaxis], labels)
    fitted = logistic.fit(examples, examples, Options(CLASSES, penalty=1e-5, label_smoothing=0.3))
    sure = probabilities(fitted, features)[np.arange(60), labels]
    np.testing.assert_allclose(sure, 0.7 + 0.3 / CLASSES, atol=0.02)


@pytest.mark.parametrize(("enough", "chosen_by"), [(30, logistic.EVAL), (31, logistic.CROSS_VALIDATION)])
def test_the_penalty_is_chosen_on_a_large_eval_split_else_by_cross_validation(monkeypatch, enough, chosen_by):
    """More noise than signal: unseen images need a strong penalty; the weakest fits the training images best."""
    monkeypatch.setattr(logistic, "ENOUGH_FOR_EVAL", enough)
    features, labels = draw(60, width=40, noise=6)
    unseen, unseen_labels = draw(30, width=40, seed=1, noise=6)
    seen = []
    fitted = logistic.fit(
        Examples(features[:, np.newaxis], labels),
        Examples(unseen[:, np.newaxis], unseen_labels),
        Options(CLASSES),
        seen.append,
    )
    assert fitted.chosen_by == chosen_by and seen == fitted.trials
    assert fitted.penalty > 0.05
    chosen = next(trial for trial in fitted.trials if trial.penalty == fitted.penalty)
    assert chosen.val_loss <= 1.02 * min(trial.val_loss for trial in fitted.trials)
    if chosen_by == logistic.EVAL:
        assert chosen.val_loss == pytest.approx(fitted.figures["val_loss"], rel=1e-3)
    by_strength = sorted(fitted.trials, key=lambda trial: trial.penalty)
    assert [trial.loss for trial in by_strength] == sorted(trial.loss for trial in by_strength)


def test_cross_validation_measures_images_that_were_not_fitted():
    """Labels that features do not determine: whoever measures fitted images finds them easy."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 1, 100)).astype(np.float32)
    labels = rng.permutation(np.arange(60) % CLASSES)
    fitted = logistic.fit(Examples(features, labels), Examples(features, labels), Options(CLASSES))
    weakest = min(fitted.trials, key=lambda trial: trial.penalty)
    assert weakest.loss < 0.8 and weakest.val_loss > 1.05 and weakest.val_accuracy < 0.6


def two_blocks(helps: bool) -> tuple[np.ndarray, np.ndarray]:
    """An earlier block of large numbers, which tells the classes or is noise; a last block that half tells them."""
    rng = np.random.default_rng(4)
    labels = np.arange(120) % CLASSES
    means = np.eye(CLASSES)[labels]
    earlier = 1000 * (3 * helps * means @ rng.normal(size=(CLASSES, 20)) + rng.normal(size=(120, 20)))
    last = means + rng.normal(size=(120, CLASSES))
    return np.concatenate([earlier, last], axis=1).astype(np.float32), labels


@pytest.mark.parametrize("helps", [True, False])
def test_earlier_blocks_count_only_where_they_help(helps):
    features, labels = two_blocks(helps)
    examples = Examples(features[:80, np.newaxis], labels[:80])
    unseen = Examples(features[80:, np.newaxis], labels[80:])
    fitted = logistic.fit(examples, unseen, Options(CLASSES, blocks=(20, CLASSES)))
    only_last = logistic.fit(
        Examples(examples.features[:, :, 20:], labels[:80]),
        Examples(unseen.features[:, :, 20:], labels[80:]),
        Options(CLASSES, blocks=(CLASSES,)),
    )
    assert {trial.weight for trial in fitted.trials} == set(logistic.WEIGHTS)
    assert {trial.weight for trial in only_last.trials} == {0.0}
    if helps:
        assert fitted.weight > 0 and fitted.figures["val_loss"] < 0.5 * only_last.figures["val_loss"]
    else:
        assert fitted.weight == 0 and (fitted.kernel[:20] == 0).all()
        np.testing.assert_allclose(fitted.kernel[20:], only_last.kernel, atol=1e-5)
        assert fitted.penalty == only_last.penalty


def test_the_sizes_of_blocks_do_not_matter():
    features, labels = two_blocks(helps=True)
    other_sizes = features * np.repeat([0.001, 50], [20, CLASSES]).astype(np.float32)
    first, second = (
        logistic.fit(Examples(given[:, np.newaxis], labels), Examples(given[:, np.newaxis], labels), options)
        for options in [Options(CLASSES, blocks=(20, CLASSES), penalty=PENALTY)]
        for given in (features, other_sizes)
    )
    assert first.chosen_by == logistic.CROSS_VALIDATION and {trial.penalty for trial in first.trials} == {PENALTY}
    np.testing.assert_allclose(probabilities(first, features), probabilities(second, other_sizes), atol=1e-3)


def test_the_same_seed_gives_the_same_head_and_another_one_other_folds():
    features, labels = draw(60)
    examples = Examples(features[:, np.newaxis], labels)
    first, again, other = (logistic.fit(examples, examples, Options(CLASSES, seed=seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.kernel, again.kernel)
    assert first.trials[0].val_loss != other.trials[0].val_loss


def test_each_class_is_spread_evenly_over_the_folds():
    labels = np.array([0] * 50 + [1] * 5)
    folds = logistic._folds(labels, seed=0)
    assert sorted(folds[labels == 1]) == [0, 1, 2, 3, 4] and (np.bincount(folds[labels == 0]) == 10).all()


def test_penalties_are_round_numbers_however_many_steps_lead_to_them():
    penalty, tried = 0.1, []
    for _ in range(8):
        penalty = logistic._half_decade(penalty * 10**-0.5)
        tried.append(penalty)
    assert tried == [0.0316, 0.01, 0.00316, 0.001, 0.000316, 0.0001, 3.16e-05, 1e-05]
