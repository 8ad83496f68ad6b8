import keras
import numpy as np
import pytest
import tensorflow as tf

from config.head import HeadConfig
from config.training import LossConfig
from modules import classifier, heads
from modules.pooling import GeneralizedMeanPooling2D
from modules.training import losses

MAP, VECTOR = (5, 5, 16), (16,)
OUTPUTS = ("softmax", "sigmoid", "logits")


def twice_as_wide(features):
    """A custom head."""
    pooled = keras.layers.GlobalMaxPooling2D()(features) if len(features.shape) == 4 else features
    return keras.layers.Dense(32)(pooled)


def not_pooled(features):
    return features


def build(kind: str = "conv", features: tuple = MAP, classes: int = 3, seed: int = 0, **options) -> keras.Model:
    if kind == "custom":
        options.setdefault("function", f"{__name__}.twice_as_wide")
    return heads.build(HeadConfig(kind=kind, **options), features, classes, seed)


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """pytest imports test files in a way of its own; a custom head's function is found by its module's name."""
    import sys

    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or __import__(__name__))


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("features", [MAP, VECTOR])
@pytest.mark.parametrize("kind", heads.HEADS)
def test_every_head_answers_with_probabilities_of_two_classes(kind, features, output):
    if kind == "conv" and features == VECTOR:
        with pytest.raises(heads.HeadError, match=r"needs a feature map; this backbone gives vectors of 16"):
            build(kind, features, 2, output=output)
        return
    head = build(kind, features, 2, output=output)
    answer = head(np.random.default_rng(0).normal(size=(4, *features)).astype("f4"))
    probabilities = np.asarray(classifier.probabilities(answer, output))
    assert probabilities.shape == (4, 2) and probabilities.dtype == np.float32
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("kind", heads.HEADS)
def test_every_head_learns_to_tell_colours_apart(kind, output, classes):
    if output == "sigmoid" and classes == 3:
        with pytest.raises(heads.HeadError, match="sigmoid is for two classes; there are 3"):
            build(kind, MAP, 3, output=output)
        return
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    index = np.arange(48) % classes
    features = random.normal(0, 0.3, (48, *MAP)).astype("f4")
    features[np.arange(48), :, :, index] += 1.5
    head = build(kind, MAP, classes, output=output)
    head.compile(keras.optimizers.Adam(0.01), losses.make_loss(output, LossConfig()), metrics=[losses.accuracy(output)])
    labels = losses.encode_labels(tf.constant(index), classes, output)
    head.fit(features, labels, epochs=12, batch_size=12, verbose=0)
    # A dozen steps don't fill a BatchNorm's moving averages; it is the fit that is looked at.
    assert head.evaluate(features, labels, verbose=0)[1] == 1.0
    answer = np.asarray(classifier.probabilities(head(features), output))
    assert (answer.argmax(axis=1) == index).all(), "class 1 is column 1, for a sigmoid too"


def test_a_conv_head_sees_where_a_feature_stands():
    """Pooling before the convolutions would answer the same for both."""
    head = build("conv", (6, 6, 2), 2, filters=[8, 4])
    apart, together = np.zeros((1, 6, 6, 2), "f4"), np.zeros((1, 6, 6, 2), "f4")
    apart[0, 1, 1, 0] = apart[0, 4, 4, 1] = together[0, 2, 2, 0] = together[0, 2, 3, 1] = 10
    assert not np.allclose(head(apart), head(together), atol=1e-4)


def test_the_options_are_those_of_the_layers():
    head = build("conv", filters=[8, 4], kernel=5, batch_norm=False, dropout=0.25, l2=0.01, initializer="he_normal")
    convolutions = [layer for layer in head.layers if isinstance(layer, keras.layers.Conv2D)]
    assert [(layer.filters, layer.kernel_size, layer.use_bias) for layer in convolutions] == [
        (8, (5, 5), True),
        (4, (5, 5), True),
    ]
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in head.layers)
    assert head.get_layer("head_dropout").rate == 0.25
    assert isinstance(convolutions[0].kernel_initializer, keras.initializers.HeNormal)
    expected = 0.01 * sum(float(np.square(w.numpy()).sum()) for w in head.weights if w.path.endswith("kernel"))
    head(np.zeros((1, *MAP), "f4"))
    assert float(sum(head.losses)) == pytest.approx(expected, rel=1e-5)
    assert build("hidden", units=7).get_layer("head_hidden").units == 7
    for pooling, layer in (("max", keras.layers.GlobalMaxPooling2D), ("gem", GeneralizedMeanPooling2D)):
        assert isinstance(build("dense", pooling=pooling).get_layer("head_pool"), layer)


def test_the_seed_decides_the_initial_weights():
    weights = [
        np.concatenate([w.ravel() for w in build("conv", (3, 3, 4), 2, seed=seed).get_weights()]) for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


def test_what_does_not_fit_is_refused_with_the_reason():
    with pytest.raises(heads.HeadError, match=r"needs a feature map of 3x3 or more.*gives 2x5.*image_size"):
        build("conv", (2, 5, 16))
    for path, message in {
        f"{__name__}.not_pooled": r"into a Keras tensor \[batch, units\]. Received: \(None, 5, 5",
        f"{__name__}.MAP": "is not callable",
        f"{__name__}.missing": "package.module.function is expected",
        "no.such.module": "package.module.function is expected",
        "nodots": "package.module.function is expected",
    }.items():
        with pytest.raises(heads.HeadError, match=message):
            build("custom", function=path)


def test_smaller_heads_are_counted_right():
    offered = heads.smaller((5, 5, 1280), 3, 10**9)
    for name, size in offered.items():
        kind, _, options = name.partition(", ")
        import yaml

        assert build(kind, (5, 5, 1280), 3, **(yaml.safe_load(f"{{{options}}}") or {})).count_params() == size, name
    assert heads.smaller((1280,), 3, 4000) == {"dense": 1280 * 3 + 3}


def own_layer_twice(features):
    for _ in range(2):
        features = keras.layers.Dense(2, name="mine")(features)
    return keras.layers.Flatten()(features)


def test_a_custom_head_that_keras_makes_no_model_of_is_named():
    options = HeadConfig(kind="custom", function=f"{__name__}.own_layer_twice")
    with pytest.raises(
        heads.HeadError, match=r'own_layer_twice does not give a Keras model \(The name "mine" is used 2'
    ):
        heads.build(options, (4, 4, 3), 3, seed=0)


@pytest.mark.parametrize("output", ["softmax", "sigmoid", "logits"])
def test_fitted_logits_give_the_same_probabilities_with_every_output(output):
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=(5, 2)).astype(np.float32), rng.normal(size=2).astype(np.float32)
    features = rng.normal(size=(4, 5)).astype(np.float32)
    head = heads.build(HeadConfig(kind="logistic", output=output), (5,), 2, seed=0)
    heads.set_answer(head, kernel, bias)
    exponentials = np.exp(features @ kernel + bias)
    expected = exponentials / exponentials.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(classifier.probabilities(head(features), output), expected, atol=1e-6)
