import keras
import numpy as np
import pytest

from config.head import HeadConfig
from modules import classifier, heads, trunk
from modules.backbones import builders, freezing


@pytest.fixture
def model_and_backbone():
    keras.utils.set_random_seed(0)
    backbone = builders.build("EfficientNetLite0", 96, "bundled")  # random weights would let no gradient through
    head = heads.build(HeadConfig(filters=[8], dropout=0.0), backbone.output_shape[1:], 2, seed=0)
    return classifier.join(backbone, head), backbone


def train_a_little(model: keras.Model, backbone: keras.Model) -> set[str]:
    """The names of the backbone's layers whose weights, moving averages included, a fit has changed."""
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    before = {layer.name: [w.copy() for w in layer.get_weights()] for layer in backbone.layers}
    images = np.random.default_rng(0).normal(size=(8, 96, 96, 3)).astype("f4")
    model.fit(images, np.arange(8) % 2, batch_size=4, epochs=2, verbose=0)
    return {
        layer.name
        for layer in backbone.layers
        if any(not np.array_equal(a, b) for a, b in zip(before[layer.name], layer.get_weights(), strict=True))
    }


def test_nothing_of_a_frozen_backbone_moves(model_and_backbone):
    model, backbone = model_and_backbone
    freezing.freeze(backbone)
    assert train_a_little(model, backbone) == set()


def test_fine_tuning_moves_the_top_layers_except_batch_norm_and_depthwise_kernels_and_nothing_else(model_and_backbone):
    model, backbone = model_and_backbone
    freezing.freeze(backbone)
    named = freezing.unfreeze_top(backbone, 20)
    expected = {
        layer.name
        for layer in backbone.layers[-20:]
        if layer.weights and not isinstance(layer, keras.layers.BatchNormalization | keras.layers.DepthwiseConv2D)
    }
    assert set(named) == expected and len(expected) >= 4
    assert train_a_little(model, backbone) == expected


@pytest.mark.parametrize("unfrozen", [False, True])
def test_a_cut_leaves_what_is_frozen_as_it_is(model_and_backbone, unfrozen):
    _, backbone = model_and_backbone
    freezing.freeze(backbone)
    named = freezing.unfreeze_top(backbone, 20) if unfrozen else []
    trunk.cut_backbone(backbone, 30)
    trunk.cut_backbone(backbone, None)
    assert [layer.name for layer in backbone.layers if layer.trainable_weights] == named


def test_mobilenets_top_twenty_are_those_that_move():
    """Its BatchNorm statistics are made plausible first, or random weights let nothing through."""
    keras.utils.set_random_seed(0)
    backbone = builders.build("MobileNetV2", 96, "none")
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_variance.assign(keras.ops.ones_like(layer.moving_variance) * 1e-3)
    head = heads.build(HeadConfig(kind="dense", dropout=0.0), backbone.output_shape[1:], 2, seed=0)
    model = classifier.join(backbone, head)
    freezing.freeze(backbone)
    assert train_a_little(model, backbone) == set()
    expected = {
        layer.name
        for layer in backbone.layers[-20:]
        if layer.weights and not isinstance(layer, keras.layers.BatchNormalization | keras.layers.DepthwiseConv2D)
    }
    assert set(freezing.unfreeze_top(backbone, 20)) == expected
    assert train_a_little(model, backbone) == expected


def test_dropout_and_stochastic_depth_of_the_backbone_are_off_in_training():
    backbone = builders.build("EfficientNetB0", 64, "none")
    assert any(isinstance(layer, keras.layers.Dropout) for layer in backbone.layers)
    head = heads.build(HeadConfig(kind="dense", dropout=0.0), backbone.output_shape[1:], 2, seed=0)
    model = classifier.join(backbone, head)
    image = np.random.default_rng(0).uniform(0, 255, (4, 64, 64, 3)).astype("f4")
    freezing.unfreeze_top(backbone, "all")
    np.testing.assert_array_equal(model(image, training=True), model(image, training=False))


@pytest.mark.parametrize("which", [0.1, "last_conv", 3, "all"])
def test_layers_are_named_by_count_fraction_or_name(model_and_backbone, which):
    _, backbone = model_and_backbone
    names = freezing.unfreeze_top(backbone, which)
    assert names[-1] == "last_conv"
    assert (names[0] == "stem_conv") == (which == "all")
    if which in ("last_conv", 3):
        assert names == ["last_conv"]
    if which == 0.1:
        inside = {layer.name for layer in backbone.layers[-round(len(backbone.layers) * 0.1) :]}
        assert set(names) <= inside and len(names) > 1


def test_layers_that_are_not_there_are_refused(model_and_backbone):
    _, backbone = model_and_backbone
    with pytest.raises(freezing.UnfreezeError, match=r"no layer 'block_17'; its last ones are .*last_conv"):
        freezing.unfreeze_top(backbone, "block_17")
    with pytest.raises(freezing.UnfreezeError, match="1 unfreezes nothing of efficientnet_lite0"):
        freezing.unfreeze_top(backbone, 1)


def test_more_layers_than_there_are_means_all(model_and_backbone):
    _, backbone = model_and_backbone
    assert "stem_conv" in freezing.unfreeze_top(backbone, 10_000)
