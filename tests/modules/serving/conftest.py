from pathlib import Path

import keras
import numpy as np
import pytest

from modules.classifier import Classifier, join
from modules.serving import heat_maps, signatures, warm_up

CLASSES = ["cyan", "magenta", "yellow"]


@pytest.fixture(scope="package")
def parts() -> Classifier:
    keras.utils.set_random_seed(1)
    image, features = keras.Input((96, 96, 3)), keras.Input((3, 3, 3))
    backbone = keras.Model(image, keras.layers.AveragePooling2D(32)(image))
    answer = keras.layers.Dense(3, "softmax", name="head_answer")(keras.layers.Flatten()(features))
    head = keras.Model(features, answer)
    return Classifier(join(backbone, head), backbone, head)


@pytest.fixture(scope="package")
def classifier(parts) -> keras.Model:
    return parts.model


@pytest.fixture(scope="package")
def version(transform_output, parts, tmp_path_factory) -> Path:
    """The folder of an exported model, with its warm-up requests."""
    folder = tmp_path_factory.mktemp("model") / "1"
    draw = heat_maps.of(parts, mirrored=False)
    signatures.export(parts.model, transform_output, CLASSES, str(folder), draw)
    pixels = np.random.default_rng(0).uniform(0, 255, (96, 96, 3)).astype(np.float32)
    warm_up.write(folder, warm_up.requests(pixels, CLASSES[0]))
    return folder
