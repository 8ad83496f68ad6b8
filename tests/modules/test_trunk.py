import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from config.head import HeadConfig
from modules import heads, trunk


@pytest.fixture
def graph() -> keras.Model:
    """Two residual blocks: image → a → (b → c) + a → d → (e → f) + d."""
    image = keras.Input((8, 8, 3))
    a = layers.Conv2D(4, 3, padding="same", name="a")(image)
    b = layers.Conv2D(4, 3, padding="same", name="b")(a)
    c = layers.Conv2D(4, 3, padding="same", name="c")(b)
    d = layers.Conv2D(4, 3, padding="same", name="d")(layers.Add(name="sum1")([a, c]))
    e = layers.Conv2D(4, 3, padding="same", name="e")(d)
    f = layers.Conv2D(4, 3, padding="same", name="f")(e)
    return keras.Model(image, layers.Add(name="sum2")([d, f]))


@pytest.mark.parametrize(
    ("changing", "last"),
    [("f", "d"), ("e", "d"), ("d", "sum1"), ("c", "a"), ("b", "a"), ("a", "identity"), (None, "sum2")],
)
def test_the_cut_is_the_last_tensor_that_all_behind_it_needs(graph, changing, last):
    first, second = trunk.cut(graph, [changing] if changing else [])
    assert first.layers[-1].name.startswith(last)
    image = np.random.default_rng(0).uniform(size=(2, 8, 8, 3)).astype("f4")
    np.testing.assert_array_equal(second(first(image)), graph(image))
    graph.get_layer("f").kernel.assign_add(np.ones((3, 3, 4, 4)))
    np.testing.assert_array_equal(second(first(image)), graph(image), err_msg="the parts share the model's weights")


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"kind": "dense"}, (7,)),
        ({"kind": "hidden", "pooling": "max"}, (7,)),
        ({"kind": "dense", "pooling": "gem"}, (4, 4, 7)),
        ({"kind": "conv"}, (4, 4, 7)),
    ],
)
def test_a_heads_pooling_goes_with_the_trunk_unless_it_trains(options, shape):
    config = HeadConfig(**options)
    head = heads.build(config, (4, 4, 7), 3, seed=0)
    pooling, rest = trunk.cut_head(head)
    assert pooling.output.shape[1:] == shape
    assert (config.fixed_pooling is not None) == (shape == (7,))
    features = np.random.default_rng(0).uniform(size=(2, 4, 4, 7)).astype("f4")
    np.testing.assert_array_equal(rest(pooling(features)), head(features))
    assert len(rest.trainable_variables) == len(head.trainable_variables)


@pytest.mark.parametrize("largest", [trunk._LARGEST_FOLDED, 0])
def test_a_folded_trunk_gives_what_the_trunk_gives(monkeypatch, largest):
    monkeypatch.setattr(trunk, "_LARGEST_FOLDED", largest)
    image = keras.Input((8, 8, 3))
    block = keras.Sequential([layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU(6), layers.Dropout(0.5)])
    first = keras.Model(image, block(image))
    rng = np.random.default_rng(0)
    for variable in first.variables:
        if variable.dtype == "float32":
            variable.assign(rng.uniform(0.5, 2.0, variable.shape))
    pixels = rng.uniform(-1, 1, (5, 8, 8, 3)).astype("f4")
    expected = first(pixels, training=False).numpy()
    assert np.std(expected) > 0.1
    folded = trunk.folded(first)
    for size in (5, 2):
        np.testing.assert_allclose(folded(tf.constant(pixels[:size])), expected[:size], rtol=1e-5, atol=1e-5)
