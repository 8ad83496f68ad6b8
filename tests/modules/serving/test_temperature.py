"""Temperature scaling and averaging over mirror images, on models without weights of note."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from modules.serving import flip_averaging, temperature


def softmax(logits: np.ndarray) -> np.ndarray:
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def drawn(rng: np.random.Generator, probabilities: np.ndarray) -> np.ndarray:
    """One label per row, as often as its probability says, one-hot."""
    chosen = (rng.random((len(probabilities), 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
    return np.eye(probabilities.shape[1], dtype="f4")[np.minimum(chosen, probabilities.shape[1] - 1)]


@pytest.mark.parametrize("true", [0.5, 1.0, 2.0])
def test_the_temperature_of_overconfident_and_of_timid_answers_is_found(true):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 4))
    labels = drawn(rng, softmax(logits))
    assert temperature.fitted(softmax(logits * true), labels) == pytest.approx(true, rel=0.1)


def test_few_images_change_little():
    right = np.array([[0.6, 0.4], [0.4, 0.6]]), np.eye(2)
    few, many = temperature.fitted(*right), temperature.fitted(*(np.tile(part, (200, 1)) for part in right))
    assert many == pytest.approx(np.exp(-2.0), rel=0.01) and 0.5 < few < 1


def model() -> keras.Model:
    """Says how bright the left and the right half of an image are."""
    image = keras.Input((2, 4, 3))
    halves = keras.layers.AveragePooling2D((2, 2))(image)[:, 0, :, 0]
    return keras.Model(image, keras.ops.softmax(halves), name="classifier")


def images() -> tuple[np.ndarray, np.ndarray]:
    pixels = np.random.default_rng(1).normal(size=(40, 2, 4, 3)).astype("f4")
    return pixels, np.eye(2, dtype="f4")[pixels[:, :, :2, 0].mean(axis=(1, 2)).argsort() % 2]


def test_the_scaled_classifier_keeps_its_classes_and_has_a_lower_loss():
    pixels, _ = images()
    plain = model()
    before = plain(pixels).numpy()
    labels = np.eye(2, dtype="f4")[before.argmax(axis=1)]  # it is always right, so its answers are too timid
    divisor = temperature.of(plain, tf.data.Dataset.from_tensor_slices((pixels, labels)).batch(16))
    scaled = temperature.scaled(plain, divisor)
    after = scaled(pixels).numpy()
    assert (after.argmax(axis=1) == before.argmax(axis=1)).all() and scaled.name == "classifier"
    powers = before ** (1 / divisor)
    np.testing.assert_allclose(after, powers / powers.sum(axis=1, keepdims=True), rtol=1e-4)
    assert (after.max(axis=1) >= before.max(axis=1)).all() and after.max() > before.max()
    np.testing.assert_allclose(after.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("setting", [True, False, "auto"])
def test_mirror_images_are_averaged_if_asked_or_if_it_lowers_the_loss(setting):
    pixels, _ = images()
    plain = model()
    answer, mirrored = plain(pixels).numpy(), plain(pixels[:, :, ::-1]).numpy()
    mean = (answer + mirrored) / 2
    for labels, pays in ((np.full_like(mean, 0.5), True), (np.eye(2, dtype="f4")[answer.argmax(axis=1)], False)):
        data = tf.data.Dataset.from_tensor_slices((pixels, labels)).batch(16)
        chosen = flip_averaging.chosen(plain, setting, {"auto": lambda data=data: data}.get(setting))
        expected = mean if setting is True or (setting == "auto" and pays) else answer
        np.testing.assert_allclose(chosen(pixels), expected, rtol=1e-5)
