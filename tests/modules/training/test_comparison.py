"""When a change of the loss on eval is more than chance."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from modules.training import comparison

BEFORE = np.linspace(0.1, 2.0, 20)
ONE_OUTLIER = np.where(np.arange(20) == 7, BEFORE + 4.0, BEFORE - 0.1)  # the mean rises, 19 of 20 fall


@pytest.mark.parametrize(
    ("after", "before", "expected"),
    [
        (BEFORE + 0.01, BEFORE, True),
        (BEFORE - 0.01, BEFORE, False),
        (BEFORE, BEFORE, False),
        (ONE_OUTLIER, BEFORE, False),
        (np.tile(ONE_OUTLIER, 50), np.tile(BEFORE, 50), True),
        (np.where(np.arange(20) == 3, np.nan, BEFORE - 1), BEFORE, True),
        (np.where(np.arange(20) == 3, np.inf, BEFORE - 1), BEFORE, True),
        (np.array([2.0]), np.array([1.0]), False),
    ],
    ids=["all rise", "all fall", "no change", "one of 20", "50 of 1,000", "NaN", "infinite", "one image"],
)
def test_only_a_rise_beyond_chance_is_worse(after, before, expected):
    assert comparison.is_worse(after, before) is expected


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_the_losses_of_the_images_have_the_mean_that_keras_measures(output):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(23, 4)).astype(np.float32)
    width = 3 if output == "softmax" else 1
    labels = np.eye(3, dtype=np.float32)[rng.integers(3, size=23)][:, :width]
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(width, activation=output)])
    kind = keras.losses.CategoricalCrossentropy if output == "softmax" else keras.losses.BinaryCrossentropy
    loss = kind(label_smoothing=0.1)
    model.compile(loss=loss)
    evaluation = tf.data.Dataset.from_tensor_slices((inputs, labels)).batch(5)
    losses = comparison.image_losses(model, evaluation, loss)
    assert losses.shape == (23,)
    assert losses.mean() == pytest.approx(model.evaluate(evaluation, verbose=0), rel=1e-5)
