"""What is in a weight file is what the model computes with."""

import keras
import numpy as np
import pytest
from keras import layers

from modules.backbones import weight_files

IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype("f4")


def network() -> keras.Model:
    """As EfficientNetB begins: Normalization keeps copies of its variables, with which it computes."""
    image = keras.Input((16, 16, 3))
    x = layers.Normalization(name="normalization")(image)
    return keras.Model(image, layers.Conv2D(4, 3, kernel_initializer="ones", name="first")(x))


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras", ".h5", "another model.h5"])
def test_the_mean_and_deviation_that_a_model_has_learned_are_loaded(tmp_path, suffix):
    donor, path = network(), str(tmp_path / f"file{suffix}")
    donor.get_layer("normalization").adapt(IMAGES)
    if suffix == "another model.h5":
        keras.Model(donor.input, layers.Dense(2)(layers.Flatten()(donor.output))).save(path)
    elif suffix == ".weights.h5":
        donor.save_weights(path)
    else:
        donor.save(path)
    model = network()
    weight_files.load(model, path)
    np.testing.assert_array_equal(np.asarray(model(IMAGES)), np.asarray(donor(IMAGES)))
