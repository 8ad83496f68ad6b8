import keras
import numpy as np
import pytest

from modules import backbones, heads, model


@pytest.fixture
def classifier_and_backbone():
    keras.utils.set_random_seed(0)
    backbone = backbones.build("EfficientNetLite0", 96, "bundled")  # random weights would let no gradient through
    head = heads.build("conv", backbone.output_shape[1:], 2, seed=0, filters=[8], dropout=0.0)
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


def test_more_layers_than_there_are_means_all(classifier_and_backbone):
    _, backbone = classifier_and_backbone
    assert "stem_conv" in model.unfreeze_top(backbone, 10_000)
