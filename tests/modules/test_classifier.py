import keras
import numpy as np
import pytest

from config.classifier import ClassifierConfig
from config.errors import BadInputError
from modules import classifier

CLASSES = ["cyan", "magenta", "yellow"]
BACKBONE = {"name": "MobileNetV2", "image_size": 96, "weights": "none"}


def build(**head) -> classifier.Classifier:
    return classifier.build(ClassifierConfig.model_validate({"backbone": BACKBONE, "head": head}), CLASSES)


def test_the_parts_are_those_of_the_whole():
    built = build(kind="dense")
    image = np.random.default_rng(0).uniform(-1, 1, (2, 96, 96, 3)).astype("f4")
    expected = built.head(built.backbone(image, training=False), training=False)
    np.testing.assert_array_equal(built.model(image, training=False), expected)
    assert built.model.output_shape == (None, 3)
    assert len(built.model.weights) == len(built.backbone.weights) + len(built.head.weights)


def test_the_seed_of_the_training_decides_the_heads_weights():
    config = ClassifierConfig.model_validate({"backbone": BACKBONE, "head": {"kind": "dense"}})
    other = ClassifierConfig.model_validate({**config.model_dump(), "training": {"seed": 1}})
    weights = [classifier.build(each, CLASSES).head.get_weights()[0] for each in (config, config, other)]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


@pytest.mark.parametrize(("output", "answer"), [("logits", [[0.0, np.log(3)]]), ("sigmoid", [[0.75]])])
def test_any_output_becomes_probabilities_of_all_classes(output, answer):
    probabilities = classifier.probabilities(keras.ops.convert_to_tensor(answer), output)
    np.testing.assert_allclose(probabilities, [[0.25, 0.75]], atol=1e-6)


@pytest.mark.parametrize("output", ["softmax", "sigmoid", "logits"])
def test_divided_logits_are_a_power_of_the_probabilities_and_the_rest_is_shared(output):
    image = keras.Input((8, 8, 3))
    config = ClassifierConfig.model_validate({"head": {"kind": "dense", "output": output}})
    built = classifier.on_backbone(keras.Model(image, keras.layers.Conv2D(4, 3)(image)), config, CLASSES[:2])
    answers, weights = [], built.model.get_weights()
    pixels = np.random.default_rng(0).uniform(-3, 3, (5, 8, 8, 3)).astype("f4")
    for made in (built, classifier.divided(built, 2.5)):
        answers.append(classifier.probabilities(made.model(pixels), output).numpy())
    powers = answers[0] ** (1 / 2.5)
    np.testing.assert_allclose(answers[1], powers / powers.sum(axis=1, keepdims=True), rtol=1e-5)
    for kept, value in zip(built.model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(kept, value)
    assert made.backbone is built.backbone and made.model.output_names == built.model.output_names


def test_the_field_of_a_backbone_that_can_not_be_built_is_named(tmp_path):
    (tmp_path / "net.keras").touch()
    backbone = {"keras_model": str(tmp_path / "net.keras"), "layer": "top", "preprocessing": "unit"}
    with pytest.raises(BadInputError, match=r"backbone\.keras_model: .*net\.keras"):
        classifier.build(ClassifierConfig.model_validate({"backbone": backbone}), CLASSES)
