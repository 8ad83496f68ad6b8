import keras
import numpy as np
import pytest
from drawing import stripes
from PIL import Image
from sklearn import datasets

from modules import backbones, efficientnet_lite, torch_weights

# ImageNet indices.
BELL_COTE, BOATHOUSE, PALACE, DAISY = 442, 449, 698, 985

# Computed once by PyTorch 2.2 with the package efficientnet-lite-pytorch on drawing.stripes(size): mean and standard
# deviation of the last feature map, the logits of classes 0 to 3, the three highest classes and their logits.
REFERENCE = {
    224: (0.0830277, 0.3933665, [-1.2397, 0.5200, -0.2732, -0.5463], {904: 3.8077, 111: 3.2451, 530: 2.5103}),
    96: (0.0733401, 0.3826888, [-0.3354, 0.6093, -0.0186, -0.0775], {904: 4.2511, 688: 3.9983, 530: 3.8482}),
}


def preprocess(image: np.ndarray) -> np.ndarray:
    return backbones.get("EfficientNetLite0").preprocess(image.astype("f4"))[None]


@pytest.fixture(scope="module")
def imagenet_classifier() -> keras.Model:
    model = efficientnet_lite.efficientnet_lite0(224, include_top=True)
    efficientnet_lite.load_torch_weights(model, efficientnet_lite.bundled_weights())
    return model


@pytest.mark.parametrize("size", REFERENCE)
def test_features_and_logits_are_those_of_pytorch(size):
    mean, deviation, first_logits, top = REFERENCE[size]
    model = efficientnet_lite.efficientnet_lite0(size, include_top=True)
    efficientnet_lite.load_torch_weights(model, efficientnet_lite.bundled_weights())
    both = keras.Model(model.input, [model.get_layer("last_relu6").output, model.output])
    features, logits = (output.numpy() for output in both(preprocess(stripes(size))))
    assert features.shape == (1, size // 32, size // 32, 1280)
    np.testing.assert_allclose([features.mean(), features.std()], [mean, deviation], rtol=1e-5)
    np.testing.assert_allclose(logits[0, :4], first_logits, atol=1e-3)
    np.testing.assert_allclose([logits[0, index] for index in top], list(top.values()), atol=1e-3)


def test_the_backbone_is_the_classifier_without_its_top(imagenet_classifier):
    backbone = backbones.build("EfficientNetLite0", 224, "bundled")
    image = preprocess(stripes(224))
    inner = keras.Model(imagenet_classifier.input, imagenet_classifier.get_layer("last_relu6").output)
    np.testing.assert_array_equal(backbone(image), inner(image))


@pytest.mark.parametrize(
    ("photo", "sensible"), [("china.jpg", {BELL_COTE, BOATHOUSE, PALACE}), ("flower.jpg", {DAISY})]
)
def test_a_real_photo_is_classified_sensibly_among_the_1000_classes(imagenet_classifier, photo, sensible):
    image = Image.fromarray(datasets.load_sample_image(photo)).resize((224, 224), Image.Resampling.BILINEAR)
    logits = imagenet_classifier(preprocess(np.asarray(image))).numpy()[0]
    assert int(logits.argmax()) in sensible


def test_a_file_of_another_architecture_is_named_with_what_it_lacks(monkeypatch):
    state = torch_weights.load(efficientnet_lite.bundled_weights())
    state["_blocks.3._expand_conv.weight"] = np.zeros((144, 24, 3, 3), "f4")
    monkeypatch.setattr(torch_weights, "load", lambda _: state)
    model = efficientnet_lite.efficientnet_lite0(32)
    with pytest.raises(
        torch_weights.TorchWeightsError, match=r"block3_expand_conv.*\(1, 1, 24, 144\).*Received: \(3, 3"
    ):
        efficientnet_lite.load_torch_weights(model, "other.pth")
    del state["_bn0.running_var"]
    with pytest.raises(torch_weights.TorchWeightsError, match=r"other\.pth: _bn0\.running_var is missing"):
        efficientnet_lite.load_torch_weights(model, "other.pth")
