import keras
import numpy as np
import pytest
from drawing import stripes
from PIL import Image
from skimage import data as photos

from config.backbone_table import BUNDLED, NONE
from modules.backbones import builders, freezing, torch_mobilenet_v2, torch_weights
from modules.data.normalization import PREPROCESSING

# ImageNet indices.
TABBY, TIGER_CAT, EGYPTIAN_CAT, MOPED, SCOOTER, ESPRESSO = 281, 282, 285, 665, 670, 967

# Computed once by PyTorch 2.2 and torchvision 0.17 on drawing.stripes(size): mean and standard deviation of the last
# feature map, the logits of classes 0 to 3, the three highest classes and their logits. Keras pads differently from
# torchvision where a size is even; at 75 pixels, 38 and 5 are even, and 75 and 19 are odd.
REFERENCE = {
    224: (0.2800797, 0.5382328, [-0.2475, 2.8462, -3.9817, -4.5662], {902: 7.0061, 530: 6.8566, 619: 6.1602}),
    96: (0.3686629, 0.6873821, [-2.1416, 3.1480, -4.4858, -4.8113], {530: 12.9667, 918: 10.0781, 688: 8.7823}),
    75: (0.5276935, 0.9010517, [-4.1906, 5.1561, -6.1809, -6.1816], {530: 24.5038, 531: 18.1186, 688: 14.5545}),
}


def preprocess(image: np.ndarray) -> np.ndarray:
    return PREPROCESSING["torch"](image.astype("f4"))[None]


def imagenet_classifier(size: int) -> keras.Model:
    model = torch_mobilenet_v2.torch_mobilenet_v2(size, include_top=True)
    torch_mobilenet_v2.load_torch_weights(model, torch_mobilenet_v2.bundled_weights())
    return model


@pytest.mark.parametrize("size", REFERENCE)
def test_features_and_logits_are_those_of_torchvision(size):
    mean, deviation, first_logits, top = REFERENCE[size]
    model = imagenet_classifier(size)
    both = keras.Model(model.input, [model.get_layer("out_relu").output, model.output])
    features, logits = (output.numpy() for output in both(preprocess(stripes(size))))
    assert features.shape == (1, -(-size // 32), -(-size // 32), 1280)
    np.testing.assert_allclose([features.mean(), features.std()], [mean, deviation], rtol=1e-5)
    np.testing.assert_allclose(logits[0, :4], first_logits, atol=1e-3)
    np.testing.assert_allclose([logits[0, index] for index in top], list(top.values()), atol=1e-3)
    np.testing.assert_array_equal(builders.build("MobileNetV2", size, BUNDLED)(preprocess(stripes(size))), features)


def test_real_photos_are_classified_sensibly_among_the_1000_classes():
    classifier = imagenet_classifier(224)
    for pixels, sensible in (
        (photos.chelsea(), {TABBY, TIGER_CAT, EGYPTIAN_CAT}),
        (photos.coffee(), {ESPRESSO}),
        (photos.stereo_motorcycle()[0], {MOPED, SCOOTER}),
    ):
        image = Image.fromarray(pixels).resize((224, 224), Image.Resampling.BILINEAR)
        assert classifier(preprocess(np.asarray(image))).numpy().argmax() in sensible


def test_its_layers_are_those_of_keras_by_name_and_number_of_parameters():
    """So the same `fine_tune.layers` trains the same layers, whichever weights are chosen."""
    bundled, of_keras = (builders.build("MobileNetV2", 96, weights) for weights in (BUNDLED, NONE))
    names, names_of_keras = ([layer.name for layer in model.layers[1:]] for model in (bundled, of_keras))
    assert names == ["Conv1_pad", *names_of_keras]
    assert bundled.name == of_keras.name
    assert [variable.shape for variable in bundled.weights] == [variable.shape for variable in of_keras.weights]
    for layers in (20, "block_13_expand", "all"):
        assert freezing.unfreeze_top(bundled, layers) == freezing.unfreeze_top(of_keras, layers)


def test_a_file_of_another_architecture_is_named_with_what_it_lacks(monkeypatch):
    state = torch_weights.load(torch_mobilenet_v2.bundled_weights())
    monkeypatch.setattr(torch_weights, "load", lambda _: state)
    model = torch_mobilenet_v2.torch_mobilenet_v2(32)
    state["features.4.conv.0.0.weight"] = np.zeros((144, 24, 3, 3), "f4")
    with pytest.raises(torch_weights.TorchWeightsError, match=r"block_3_expand.*\(1, 1, 24, 144\).*Received: \(3, 3"):
        torch_mobilenet_v2.load_torch_weights(model, "other.pth")
    del state["features.0.1.running_var"]
    with pytest.raises(torch_weights.TorchWeightsError, match=r"other\.pth: features\.0\.1\.running_var is missing"):
        torch_mobilenet_v2.load_torch_weights(model, "other.pth")
