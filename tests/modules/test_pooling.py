import keras
import numpy as np
import pytest

from modules.pooling import GeneralizedMeanPooling2D, pool

SHAPE = (5, 5, 16)


@pytest.mark.parametrize(
    ("pooling", "expected"), [("average", lambda x: x.mean((1, 2))), ("max", lambda x: x.max((1, 2)))]
)
def test_pooling_is_what_it_is_called(pooling, expected):
    image = keras.Input(SHAPE)
    features = np.random.default_rng(0).normal(size=(3, *SHAPE)).astype("f4")
    np.testing.assert_allclose(keras.Model(image, pool(image, pooling))(features), expected(features), atol=1e-6)


@pytest.mark.parametrize("pooling", ["average", "max", "gem"])
def test_vectors_are_left_as_they_are(pooling):
    vector = keras.Input((16,))
    assert pool(vector, pooling) is vector


def test_generalised_mean_lies_between_average_and_max_and_can_be_saved(tmp_path):
    features = np.random.default_rng(0).uniform(0.1, 2, (3, *SHAPE)).astype("f4")
    image = keras.Input(SHAPE)
    pooling = keras.Model(image, GeneralizedMeanPooling2D()(image))
    found = {}
    for power in (1.0, 3.0, 60.0):
        pooling.layers[-1].power.assign(power)
        found[power] = pooling(features).numpy()
    np.testing.assert_allclose(found[1.0], features.mean((1, 2)), rtol=1e-4)
    np.testing.assert_allclose(found[3.0], (features**3).mean((1, 2)) ** (1 / 3), rtol=1e-4)
    np.testing.assert_allclose(found[60.0], features.max((1, 2)), rtol=0.06)
    pooling.save(tmp_path / "gem.keras")
    np.testing.assert_allclose(keras.saving.load_model(tmp_path / "gem.keras")(features), found[60.0], rtol=1e-5)
