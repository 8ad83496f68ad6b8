import functools
import random
import runpy
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.applications import imagenet_utils

from config import backbone_table
from config.backbone_table import BACKBONES
from config.errors import BackboneError, BadInputError
from modules import trunk
from modules.backbones import builders, freezing, weight_files
from modules.data.normalization import IMAGENET_DEVIATION, IMAGENET_MEAN, PREPROCESSING

PAGE = Path(__file__).parents[3] / "docs" / "backbones.md"
GENERATE = runpy.run_path(str(PAGE.with_name("generate.py")))

LIBRARY = {
    "MobileNet": "mobilenet",
    "MobileNetV2": "mobilenet_v2",
    "MobileNetV3": "mobilenet_v3",
    "EfficientNet": "efficientnet",
    "EfficientNetV2": "efficientnet_v2",
    "ResNet": "resnet",
    "ResNetV2": "resnet_v2",
    "InceptionV3": "inception_v3",
    "InceptionResNetV2": "inception_resnet_v2",
    "Xception": "xception",
    "DenseNet": "densenet",
    "NASNet": "nasnet",
    "VGG": "vgg16",
    "ConvNeXt": "convnext",
}
LARGE = {"EfficientNetB6", "EfficientNetB7", "EfficientNetV2M", "EfficientNetV2L", "NASNetLarge", "ConvNeXtBase"}
LARGE |= {"EfficientNetB5", "ConvNeXtLarge", "ConvNeXtXLarge", "InceptionResNetV2", "ResNet152", "ResNet152V2"}


def rows() -> list:
    marks = {name: [pytest.mark.slow] for name in LARGE}
    return [pytest.param(name, marks=marks.get(name, [])) for name in BACKBONES]


def test_the_table_has_every_image_model_of_the_library():
    named = {
        name for name in dir(keras.applications) if callable(getattr(keras.applications, name)) and name[0].isupper()
    }
    assert named - set(BACKBONES) == set()
    assert {row.family for row in BACKBONES.values()} == {*LIBRARY, "EfficientNetLite"}


@pytest.mark.parametrize("name", BACKBONES)
def test_preprocessing_is_the_librarys_own(name):
    row = backbone_table.get(name)
    image = np.random.default_rng(0).uniform(0, 255, (2, 8, 9, 3)).astype("f4")
    if row.family == "EfficientNetLite":
        expected = (image - 127) / 128
    else:
        expected = getattr(keras.applications, LIBRARY[row.family]).preprocess_input(image.copy())
    np.testing.assert_allclose(PREPROCESSING[row.preprocessing](image), expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(PREPROCESSING[row.preprocessing](tf.constant(image)), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", rows())
def test_every_backbone_builds_small_runs_forward_is_cut_in_two_and_described(name):
    row = backbone_table.get(name)
    is_first_of_family = next(other for other in BACKBONES.values() if other.family == row.family) is row
    size = GENERATE["SIZE"]
    model = builders.build(name, size, "none")
    image = PREPROCESSING[row.preprocessing](np.random.default_rng(0).uniform(0, 255, (1, size, size, 3)).astype("f4"))
    features = model(image, training=False)
    assert model.input_shape == (None, size, size, 3)
    assert len(features.shape) == 4 and features.shape[-1] >= 256
    assert features.shape == model.compute_output_shape((1, size, size, 3))
    assert np.isfinite(features).all()
    assert GENERATE["backbone_line"](row, model) in PAGE.read_text().splitlines(), "stale: run `make docs`"
    if is_first_of_family:
        check_random_weights_are_always_the_same(model, row)
    for layers in (40, 8, 0.5, 0.8, "all", None) if is_first_of_family else (40,):
        check_cut(model, image, features, layers)
    keras.backend.clear_session()


def check_random_weights_are_always_the_same(model, row) -> None:
    """Whatever a process has drawn before, without a trace in what it draws next, and at any image size."""
    keras.utils.set_random_seed(41)
    state = random.getstate()
    again = builders.build(row.name, row.min_image_size, "none")
    assert random.getstate() == state
    assert again.output_shape[-1] == model.output_shape[-1]
    assert trunk.digest(again) == trunk.digest(model)


def check_cut(backbone, image, features, layers) -> None:
    """Nothing that fine-tuning trains is in the trunk, and trunk and tail are the backbone, bit for bit."""
    try:
        unfrozen = [] if layers is None else freezing.unfreeze_top(backbone, layers)
    except freezing.UnfreezeError:  # the last few layers of some have no weights
        return
    if unfrozen:
        assert [layer.name for layer in backbone.layers if layer.trainable_weights] == unfrozen
    first, second = trunk.cut_backbone(backbone, layers)
    if unfrozen:
        assert [layer.name for layer in backbone.layers if layer.trainable_weights] == unfrozen
    trunk_layers = [layer.name for layer in first.layers]
    assert not set(unfrozen) & set(trunk_layers)
    if layers is None:
        assert len(trunk_layers) == len(backbone.layers)
    elif layers == "all":
        assert "first weights" in trunk.reason_not_to_keep(first, required=True)
    np.testing.assert_array_equal(second(first(image, training=False), training=False), features)


class InputShapeError(Exception):
    """Ends the building of a model of the library; its argument is the shape of the model's input."""


def test_the_native_sizes_are_the_librarys_own(monkeypatch):
    """Where the library's own default differs, our table would resize to what the weights never saw."""
    original = imagenet_utils.obtain_input_shape

    def obtain_input_shape(*arguments, **options):
        raise InputShapeError(original(*arguments, **options))

    monkeypatch.setattr(imagenet_utils, "obtain_input_shape", obtain_input_shape)
    for name in ("MobileNetV2", "EfficientNetB3", "EfficientNetV2B1", "NASNetMobile", "InceptionV3", "DenseNet121"):
        with pytest.raises(InputShapeError) as caught:
            getattr(keras.applications, name)(weights=None, include_top=True)
        default = caught.value.args[0][0]
        assert default in (None, backbone_table.get(name).image_size), name


@pytest.fixture(scope="module")
def donor_of():
    """Gives a model of the library with random weights; each is built once."""

    @functools.cache
    def build(name: str, top: bool) -> keras.Model:
        return getattr(keras.applications, name)(input_shape=(96, 96, 3), include_top=top, weights=None)

    return build


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras", ".h5"])
@pytest.mark.parametrize("top", [True, False])
@pytest.mark.parametrize("name", ["MobileNetV2", "InceptionV3", "ConvNeXtTiny"])
def test_a_file_of_the_librarys_model_gives_the_backbone_its_weights(donor_of, tmp_path, name, top, suffix):
    donor = donor_of(name, top)
    path = tmp_path / f"donor{suffix}"
    donor.save_weights(path) if suffix == ".weights.h5" else donor.save(path)
    loaded = builders.build(name, 96, str(path))
    assert len(loaded.weights) > 50
    for ours, theirs in zip(loaded.weights, donor.weights, strict=False):
        np.testing.assert_array_equal(ours, theirs)
    keras.backend.clear_session()


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras", ".h5"])
def test_a_backbone_nested_in_a_fine_tuned_classifier_is_found(tmp_path, suffix):
    """Keras lists a nested model's trainable weights first, so a partly frozen one is out of its layers' order."""
    donor = keras.applications.MobileNetV2((96, 96, 3), include_top=False, weights=None)
    for layer in donor.layers[:100]:
        layer.trainable = False
    for variable in donor.weights:
        variable.assign(np.random.default_rng(0).normal(size=variable.shape))
    head = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(5, activation="softmax")]
    classifier = keras.Sequential([keras.Input((96, 96, 3)), donor, *head])
    path = tmp_path / f"classifier{suffix}"
    classifier.save_weights(path) if suffix == ".weights.h5" else classifier.save(path)
    loaded = builders.build("MobileNetV2", 96, str(path))
    for layer in loaded.layers:
        if layer.weights:
            for ours, theirs in zip(layer.get_weights(), donor.get_layer(layer.name).get_weights(), strict=True):
                np.testing.assert_array_equal(ours, theirs)
    keras.backend.clear_session()


def test_a_file_that_does_not_fit_is_refused_layer_by_layer(tmp_path, monkeypatch):
    """Keras itself only warns, and leaves what the file lacks at random."""
    whole = keras.applications.MobileNetV2((96, 96, 3), include_top=False, weights=None)
    others = {
        "dense": keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="only")]),
        "narrow": keras.applications.MobileNetV2((64, 64, 3), alpha=0.35, include_top=False, weights=None),
    }
    monkeypatch.setattr(keras.applications, "MobileNetV2", lambda **_: whole)  # built once, not for each file
    for name, other in others.items():
        for suffix in (".weights.h5", ".h5", ".keras"):
            path = tmp_path / f"{name}{suffix}"
            other.save_weights(path) if suffix == ".weights.h5" else other.save(path)
            with pytest.raises(weight_files.WeightFileError) as caught:
                builders.build("MobileNetV2", 96, str(path))
            told = str(caught.value)
            assert told.startswith(f"{path}: doesn't fit mobilenetv2")
            if name == "dense":
                assert "Conv1 is missing; bn_Conv1 is missing" in told and "more" in told
            else:
                assert "Conv1 has shapes [(3, 3, 3, 32)], in the file [(3, 3, 3, 16)]" in told


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras", ".h5"])
def test_a_file_that_is_none_is_named(tmp_path, suffix):
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(BadInputError, match=r"broken.*can't be read as a weight file"):
        builders.build("MobileNetV2", 96, str(path))


def test_imagenet_weights_from_a_file_mean_what_they_mean_when_keras_downloads_them(tmp_path, monkeypatch):
    """Keras's EfficientNets scale their input twice, but only for weights="imagenet"."""
    donor = keras.applications.EfficientNetB0(input_shape=(64, 64, 3), include_top=False, weights=None)
    normalization = next(layer for layer in donor.layers if isinstance(layer, keras.layers.Normalization))
    normalization.adapt_mean.assign(IMAGENET_MEAN)
    normalization.adapt_variance.assign(IMAGENET_DEVIATION)  # what the published file holds there
    normalization.finalize_state()
    path = str(tmp_path / "efficientnetb0.weights.h5")
    donor.save_weights(path)
    donor.save(tmp_path / "efficientnetb0.h5")
    from keras.src.applications import efficientnet

    monkeypatch.setattr(efficientnet.file_utils, "get_file", lambda *_, **__: path)
    downloaded = keras.applications.EfficientNetB0(input_shape=(64, 64, 3), include_top=False, weights="imagenet")
    image = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("f4")
    expected = downloaded(image)
    scale = float(np.std(expected))  # random weights let little through
    for file in (path, str(tmp_path / "efficientnetb0.h5")):
        np.testing.assert_allclose(
            builders.build("EfficientNetB0", 64, file)(image) / scale, expected / scale, atol=1e-3
        )
    assert np.abs(donor(image) - expected).max() / scale > 0.1


def test_a_download_that_fails_names_the_alternative(monkeypatch):
    def no_network(*_, **__):
        raise Exception("URL fetch failure on https://example.org: None -- unreachable")

    monkeypatch.setattr(keras.applications, "MobileNetV2", no_network)
    with pytest.raises(BackboneError, match=r"URL fetch failure.*set backbone.weights to a local file"):
        builders.build("MobileNetV2", 96, "imagenet")


def test_the_table_refuses_what_it_has_not(tmp_path):
    with pytest.raises(BackboneError, match=r"EfficientNetLite0, .*Received: 'VGG'"):
        backbone_table.get("VGG")
    with pytest.raises(BackboneError, match=r"75 pixels or more \(native: 299\).*Received: 74"):
        backbone_table.check_image_size("InceptionV3", 74)
    with pytest.raises(BackboneError, match=r"bundled, none, or .*\.pth.*Received: 'imagenet'"):
        backbone_table.check_weights("EfficientNetLite0", "imagenet")
    with pytest.raises(BackboneError, match="there is no such file"):
        backbone_table.check_weights("MobileNetV2", str(tmp_path / "missing.h5"))
