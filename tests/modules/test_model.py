import keras
import numpy as np
import pytest

from modules import backbones, heads, model


@pytest.fixture
def classifier_and_backbone():
    keras.utils.set_random_seed(0)
    backbone = backbones.build("EfficientNetLite0", 96, "bundled")  # random weights would let no gradient through
    head = heads.build(heads.HeadOptions(filters=[8], dropout=0.0), backbone.output_shape[1:], 2, seed=0)
    return model.classifier(backbone, head), backbone


def train_a_little(classifier: keras.Model, backbone: keras.Model) -> set[str]:
    """The names of the backbone's layers whose weights, moving averages included, a fit has changed."""
    classifier.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    before = {layer.name: [w.copy() for w in layer.get_weights()] for layer in backbone.layers}
    images = np.random.default_rng(0).normal(size=(8, 96, 96, 3)).astype("f4")
    classifier.fit(images, np.arange(8) % 2, batch_size=4, epochs=2, verbose=0)
    return {
        layer.name
        for layer in backbone.layers
        if any(not np.array_equal(a, b) for a, b in zip(before[layer.name], layer.get_weights(), strict=True))
    }


def test_nothing_of_a_frozen_backbone_moves(classifier_and_backbone):
    classifier, backbone = classifier_and_backbone
    model.freeze(backbone)
    assert train_a_little(classifier, backbone) == set()


def test_fine_tuning_moves_the_top_layers_except_batch_norm_and_nothing_else(classifier_and_backbone):
    classifier, backbone = classifier_and_backbone
    model.freeze(backbone)
    named = model.unfreeze_top(backbone, 20)
    expected = {
        layer.name
        for layer in backbone.layers[-20:]
        if layer.weights and not isinstance(layer, keras.layers.BatchNormalization)
    }
    assert set(named) == expected and len(expected) >= 4
    assert train_a_little(classifier, backbone) == expected


def test_mobilenets_top_twenty_are_those_that_move():
    """Its BatchNorm statistics are made plausible first, or random weights let nothing through."""
    keras.utils.set_random_seed(0)
    backbone = backbones.build("MobileNetV2", 96, "none")
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_variance.assign(keras.ops.ones_like(layer.moving_variance) * 1e-3)
    head = heads.build(heads.HeadOptions(kind="dense", dropout=0.0), backbone.output_shape[1:], 2, seed=0)
    classifier = model.classifier(backbone, head)
    model.freeze(backbone)
    assert train_a_little(classifier, backbone) == set()
    expected = {
        layer.name
        for layer in backbone.layers[-20:]
        if layer.weights and not isinstance(layer, keras.layers.BatchNormalization)
    }
    assert set(model.unfreeze_top(backbone, 20)) == expected
    assert train_a_little(classifier, backbone) == expected


def test_dropout_and_stochastic_depth_of_the_backbone_are_off_in_training():
    backbone = backbones.build("EfficientNetB0", 64, "none")
    assert any(isinstance(layer, keras.layers.Dropout) for layer in backbone.layers)
    head = heads.build(heads.HeadOptions(kind="dense", dropout=0.0), backbone.output_shape[1:], 2, seed=0)
    classifier = model.classifier(backbone, head)
    image = np.random.default_rng(0).uniform(0, 255, (4, 64, 64, 3)).astype("f4")
    model.unfreeze_top(backbone, "all")
    np.testing.assert_array_equal(classifier(image, training=True), classifier(image, training=False))


@pytest.mark.parametrize("which", [0.1, "last_conv", 3, "all"])
def test_layers_are_named_by_count_fraction_or_name(classifier_and_backbone, which):
    _, backbone = classifier_and_backbone
    names = model.unfreeze_top(backbone, which)
    assert names[-1] == "last_conv"
    assert (names[0] == "stem_conv") == (which == "all")
    if which in ("last_conv", 3):
        assert names == ["last_conv"]
    if which == 0.1:
        inside = {layer.name for layer in backbone.layers[-round(len(backbone.layers) * 0.1) :]}
        assert set(names) <= inside and len(names) > 1


def test_layers_that_are_not_there_are_refused(classifier_and_backbone):
    _, backbone = classifier_and_backbone
    with pytest.raises(model.UnfreezeError, match=r"no layer 'block_17'; its last ones are .*last_conv"):
        model.unfreeze_top(backbone, "block_17")
    with pytest.raises(model.UnfreezeError, match="1 unfreezes nothing of efficientnet_lite0"):
        model.unfreeze_top(backbone, 1)


def test_more_layers_than_there_are_means_all(classifier_and_backbone):
    _, backbone = classifier_and_backbone
    assert "stem_conv" in model.unfreeze_top(backbone, 10_000)
