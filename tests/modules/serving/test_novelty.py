"""The distance, its Keras layer, and the outputs of a served model."""

import numpy as np
import pytest
import tensorflow as tf
from examples import raw_examples
from training import classifier_config, fn_args_of

from config.errors import BadInputError
from modules.serving import heat_maps, novelty, novelty_distance, novelty_threshold
from modules.serving.novelty_features import Features
from modules.trainer import TrainingRun

CLASSES = 3


def drawn(images: int, features: int, seed: int = 0) -> Features:
    """Three classes with a covariance in common, in which few directions have most of the variance."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(9).standard_normal((features, features)) * np.geomspace(1, 0.05, features)
    centres = 4 + np.random.default_rng(8).standard_normal((CLASSES, features))
    labels = rng.integers(0, CLASSES, images)
    values = centres[labels] + 0.3 * rng.standard_normal((images, features)) @ mixing.T
    return Features(values.astype(np.float32), labels)


def test_with_all_components_it_is_the_relative_mahalanobis_distance_with_shrunk_covariances():
    train, other = drawn(200, 6), drawn(20, 6, seed=1)
    values = novelty_distance.unit(train.values.astype(np.float64))
    means = np.stack([values[train.labels == label].mean(axis=0) for label in range(CLASSES)])

    def squares(centres, within):
        covariance = np.cov(within.T, bias=True)
        shrunk = 0.5 * covariance + 0.5 * np.trace(covariance) / 6 * np.eye(6)
        differences = novelty_distance.unit(other.values)[:, None] - centres
        return np.einsum("icj,jk,ick->ic", differences, np.linalg.inv(shrunk), differences).min(axis=1)

    centre = values.mean(axis=0, keepdims=True)
    wanted = (squares(means, values - means[train.labels]) - squares(centre, values - centre)) / 6
    assert wanted.min() < 0 < wanted.max()
    found = novelty_distance.fit(train.values, train.labels, 0).of(other.values)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)


def test_the_layer_computes_the_distance_against_the_threshold():
    train, other = drawn(60, 300), drawn(20, 300, seed=1)
    distance = novelty_distance.fit(train.values, train.labels, 0)
    found = distance.of(other.values)
    threshold = novelty_threshold.choose(found, np.empty(0), 0.2)
    score = novelty.NoveltyScore(distance, threshold)(other.values).numpy()
    beyond = (found - threshold.distance) / (threshold.distance - np.median(found))
    np.testing.assert_allclose(score, (1 + beyond / (1 + np.abs(beyond))) / 2, atol=1e-4)
    assert score.min() > 0 and score.max() < 1 and np.median(score) == pytest.approx(0.25, abs=1e-4)
    with_nan = np.where(np.arange(300) == 7, np.nan, other.values[:1]).astype(np.float32)
    assert not novelty.NoveltyScore(distance, threshold)(with_nan).numpy()[0] <= novelty_threshold.THRESHOLD


def test_images_of_no_class_are_farther_and_those_of_the_classes_are_rejected_at_the_rate():
    """With fewer images than features, the fit alone would call every new image far."""
    train, evaluation, fresh = drawn(150, 400), drawn(99, 400, seed=1), drawn(2000, 400, seed=2)
    distance, threshold = novelty.fit(train, evaluation, 0.05, 0)
    assert threshold.guaranteed
    assert (distance.of(fresh.values) > threshold.distance).mean() < 0.05 + 3 * np.sqrt(0.05 / 99)
    noise = np.random.default_rng(3).standard_normal((50, 400)).astype(np.float32)
    assert (distance.of(noise) > threshold.distance).all()
    few = Features(evaluation.values[:15], evaluation.labels[:15])
    _, estimated = novelty.fit(train, few, 0.05, 0)
    assert not estimated.guaranteed
    assert (distance.of(fresh.values) > estimated.distance).mean() < 0.1, "held-out distances of training images count"


def test_many_features_and_classes_stay_below_the_limit_of_the_served_model():
    features, labels = np.random.default_rng(0).random((600, 4096), np.float32), np.arange(600) % 300
    fitted = novelty_distance.fit(features, labels, 0)
    arrays = (fitted.centre, fitted.components, fitted.whitening, fitted.means, fitted.overall)
    assert 4e6 < sum(array.nbytes for array in arrays) <= novelty_distance.MOST_BYTES


def test_features_that_are_no_numbers_are_refused():
    train = drawn(60, 8)
    evaluation = Features(np.full((3, 8), np.nan, np.float32), np.zeros(3, np.int64))
    with pytest.raises(BadInputError, match=r"^novelty: .* not finite numbers; set novelty: null"):
        novelty.fit(train, evaluation, 0.5, 0)


@pytest.fixture(scope="module")
def runs(transform_output, example_files, tmp_path_factory):
    """One training, served with the section, and the Keras model that is served without it; and the split eval."""
    folder = tmp_path_factory.mktemp("novelty")
    config = classifier_config(training={"flip_averaging": True, "fine_tune": None, "calibration": "auto"})
    run = TrainingRun(fn_args_of(transform_output, example_files, folder / "with", config))
    trained = run.fit()
    run.export(trained)
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(heat_maps, "of", lambda *_, **__: None)  # they take seconds, and do not matter here
    run.config = config.model_copy(update={"novelty": None})
    without, *_ = run._served(trained.classifier)
    monkeypatch.undo()
    return tf.saved_model.load(str(folder / "with" / "Format-Serving")), without, run.data.images[1]


def test_labels_and_probabilities_are_the_same_bits_with_and_without_it(runs):
    model, without, evaluation = runs
    serialized, images = evaluation.raw(12)
    answer = model.signatures["serving_default"](tf.constant(serialized))
    assert set(answer) == {"probabilities", "label", "score", "novelty", "in_scope"}
    probabilities = tf.function(lambda batch: without(batch, training=False))(images)
    np.testing.assert_array_equal(answer["probabilities"], probabilities)


def test_eval_is_in_scope_and_noise_is_not(runs, example_files):
    serve = runs[0].signatures["serve_images"]
    shapes = {name: (spec.dtype, spec.shape.as_list()) for name, spec in serve.structured_outputs.items()}
    assert (shapes["novelty"], shapes["in_scope"]) == ((tf.float32, [None]), (tf.bool, [None]))
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    answer = serve(images=tf.constant([tf.io.encode_png(noise).numpy()]))
    of_eval = runs[0].signatures["serving_default"](tf.constant(raw_examples(example_files, "eval")))
    assert of_eval["novelty"].numpy().max() <= 0.501 < answer["novelty"].numpy()[0] < 1
    assert not answer["in_scope"].numpy()[0]
