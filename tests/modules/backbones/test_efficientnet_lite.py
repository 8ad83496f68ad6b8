import keras
import numpy as np
import pytest
from drawing import stripes
from PIL import Image
from skimage import data as photos
from sklearn import datasets

from config import backbone_table
from modules.backbones import builders, efficientnet_lite, torch_weights
from modules.data.normalization import PREPROCESSING

# ImageNet indices.
TABBY, TIGER_CAT, EGYPTIAN_CAT, BELL_COTE, MOPED, SCOOTER, PALACE, ESPRESSO = 281, 282, 285, 442, 665, 670, 698, 967

# Computed once by PyTorch 2.2 with the package efficientnet-lite-pytorch on drawing.stripes(size): mean and standard
# deviation of the last feature map, the logits of classes 0 to 3, the three highest classes and their logits.
REFERENCE = {
    (0, 224): (0.0830277, 0.3933665, [-1.2397, 0.5200, -0.2732, -0.5463], {904: 3.8077, 111: 3.2451, 530: 2.5103}),
    (0, 96): (0.0733401, 0.3826888, [-0.3354, 0.6093, -0.0186, -0.0775], {904: 4.2511, 688: 3.9983, 530: 3.8482}),
    (1, 240): (0.1253681, 0.5202648, [-1.8081, 1.1067, -0.5294, -0.0238], {688: 5.0957, 591: 4.9710, 916: 4.6876}),
    (2, 260): (0.1120906, 0.4705475, [-1.2223, 0.5155, -0.2941, -1.4039], {916: 5.7207, 902: 3.9933, 549: 3.9578}),
}


def preprocess(image: np.ndarray) -> np.ndarray:
    return PREPROCESSING["lite"](image.astype("f4"))[None]


def imagenet_classifier(number: int) -> tuple[keras.Model, int]:
    """A variant with its top and weights, and its native image size."""
    size = backbone_table.get(f"EfficientNetLite{number}").image_size
    model = efficientnet_lite.efficientnet_lite(number, size, include_top=True)
    efficientnet_lite.load_torch_weights(model, efficientnet_lite.bundled_weights(number))
    return model, size


@pytest.mark.parametrize(("number", "size"), REFERENCE)
def test_features_and_logits_are_those_of_pytorch(number, size):
    mean, deviation, first_logits, top = REFERENCE[number, size]
    model = efficientnet_lite.efficientnet_lite(number, size, include_top=True)
    efficientnet_lite.load_torch_weights(model, efficientnet_lite.bundled_weights(number))
    both = keras.Model(model.input, [model.get_layer("last_relu6").output, model.output])
    features, logits = (output.numpy() for output in both(preprocess(stripes(size))))
    assert features.shape == (1, -(-size // 32), -(-size // 32), 1280)
    np.testing.assert_allclose([features.mean(), features.std()], [mean, deviation], rtol=1e-5)
    np.testing.assert_allclose(logits[0, :4], first_logits, atol=1e-3)
    np.testing.assert_allclose([logits[0, index] for index in top], list(top.values()), atol=1e-3)


def test_the_backbone_is_the_classifier_without_its_top():
    classifier, size = imagenet_classifier(0)
    backbone = builders.build("EfficientNetLite0", size, "bundled")
    image = preprocess(stripes(size))
    inner = keras.Model(classifier.input, classifier.get_layer("last_relu6").output)
    np.testing.assert_array_equal(backbone(image), inner(image))


@pytest.mark.parametrize("number", efficientnet_lite.VARIANTS)
def test_real_photos_are_classified_sensibly_among_the_1000_classes(number):
    classifier, size = imagenet_classifier(number)
    for pixels, sensible in (
        (photos.chelsea(), {TABBY, TIGER_CAT, EGYPTIAN_CAT}),
        (photos.coffee(), {ESPRESSO}),
        (photos.stereo_motorcycle()[0], {MOPED, SCOOTER}),
        (datasets.load_sample_image("china.jpg"), {PALACE, BELL_COTE}),
    ):
        image = Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC)
        assert classifier(preprocess(np.asarray(image))).numpy().argmax() in sensible


def test_a_file_of_another_architecture_is_named_with_what_it_lacks(monkeypatch):
    state = torch_weights.load(efficientnet_lite.bundled_weights(0))
    state["_blocks.3._expand_conv.weight"] = np.zeros((144, 24, 3, 3), "f4")
    monkeypatch.setattr(torch_weights, "load", lambda _: state)
    model = efficientnet_lite.efficientnet_lite(0, 32)
    with pytest.raises(
        torch_weights.TorchWeightsError, match=r"block3_expand_conv.*\(1, 1, 24, 144\).*Received: \(3, 3"
    ):
        efficientnet_lite.load_torch_weights(model, "other.pth")
    del state["_bn0.running_var"]
    with pytest.raises(torch_weights.TorchWeightsError, match=r"other\.pth: _bn0\.running_var is missing"):
        efficientnet_lite.load_torch_weights(model, "other.pth")
