from pathlib import Path

import keras
import numpy as np
import pytest

from modules.serving import signatures, warm_up

CLASSES = ["cyan", "magenta", "yellow"]


@pytest.fixture(scope="package")
def classifier() -> keras.Model:
    keras.utils.set_random_seed(1)
    image = keras.Input((96, 96, 3))
    pooled = keras.layers.AveragePooling2D(32)(image)
    return keras.Model(image, keras.layers.Dense(3, "softmax")(keras.layers.Flatten()(pooled)))


@pytest.fixture(scope="package")
def version(transform_output, classifier, tmp_path_factory) -> Path:
    """The folder of an exported model, with its warm-up requests."""
    folder = tmp_path_factory.mktemp("model") / "1"
    signatures.export(classifier, transform_output, CLASSES, str(folder))
    pixels = np.random.default_rng(0).uniform(0, 255, (96, 96, 3)).astype(np.float32)
    warm_up.write(folder, warm_up.requests(pixels, CLASSES[0]))
    return folder
