import keras
import numpy as np
import pytest

from modules import backbones


def test_mobilenet_preprocessing_is_the_librarys():
    image = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype("f4")
    expected = keras.applications.mobilenet_v2.preprocess_input(image.copy())
    np.testing.assert_allclose(backbones.get("MobileNetV2").preprocess(image), expected, atol=1e-6)


def test_every_backbone_yields_its_last_feature_map():
    for row in backbones.BACKBONES.values():
        model = backbones.build(row.name, 96, "none")
        assert model.input_shape == (None, 96, 96, 3)
        assert model.output_shape[1:3] == (3, 3), row.name
        assert np.isfinite(model(np.zeros((1, 96, 96, 3), "f4"))).all()


def test_a_local_file_gives_mobilenet_its_weights(tmp_path):
    donor = keras.applications.MobileNetV2(input_shape=(64, 64, 3), include_top=False, weights=None)
    donor.save_weights(tmp_path / "donor.weights.h5")
    loaded = backbones.build("MobileNetV2", 96, str(tmp_path / "donor.weights.h5"))
    for ours, theirs in zip(loaded.weights, donor.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_file_that_does_not_fit_is_refused_and_named(tmp_path):
    """Keras itself only warns, and leaves what the file lacks at random."""
    others = {
        "dense": keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]),
        "narrow": keras.applications.MobileNetV2((64, 64, 3), alpha=0.35, include_top=False, weights=None),
        "older": keras.applications.MobileNet((64, 64, 3), include_top=False, weights=None),
    }
    for name, other in others.items():
        path = tmp_path / f"{name}.weights.h5"
        other.save_weights(path)
        with pytest.raises(
            backbones.BackboneError, match=rf"MobileNetV2: weights '.*{name}\.weights\.h5' could not be"
        ):
            backbones.build("MobileNetV2", 96, str(path))


def test_a_download_that_fails_names_the_alternative(monkeypatch):
    def no_network(*_, **__):
        raise Exception("URL fetch failure on https://example.org: None -- unreachable")

    monkeypatch.setattr(keras.applications, "MobileNetV2", no_network)
    with pytest.raises(backbones.BackboneError, match=r"URL fetch failure.*set backbone.weights to a local file"):
        backbones.build("MobileNetV2", 96, "imagenet")


def test_the_table_refuses_what_it_has_not(tmp_path):
    with pytest.raises(backbones.BackboneError, match=r"EfficientNetLite0, MobileNetV2.*Received: 'VGG'"):
        backbones.get("VGG")
    with pytest.raises(backbones.BackboneError, match=r"32 pixels or more \(native: 224\).*Received: 31"):
        backbones.check_image_size("MobileNetV2", 31)
    with pytest.raises(backbones.BackboneError, match=r"bundled, none, or .*\.pth.*Received: 'imagenet'"):
        backbones.check_weights("EfficientNetLite0", "imagenet")
    with pytest.raises(backbones.BackboneError, match="there is no such file"):
        backbones.check_weights("MobileNetV2", str(tmp_path / "missing.h5"))
