import keras
import numpy as np
import pytest
import tensorflow as tf

from config.errors import BackboneError
from modules.backbones import custom


class Extractor(tf.Module):
    """A feature extractor as TF Hub publishes them: called with images in [0, 1], it answers with vectors."""

    def __init__(self, pooled: bool):
        super().__init__()
        self.kernel = tf.Variable(tf.random.stateless_normal((3, 3, 3, 5), (0, 1)))
        self._pooled = pooled

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32)])
    def __call__(self, images):
        features = tf.nn.conv2d(images, self.kernel, 4, "SAME")
        return tf.reduce_mean(features, (1, 2)) if self._pooled else features


@pytest.mark.parametrize("signature", [True, False])
@pytest.mark.parametrize("pooled", [True, False])
def test_a_saved_model_extractor_is_a_backbone(tmp_path, pooled, signature):
    extractor = Extractor(pooled)
    signatures = {"serving_default": extractor.__call__.get_concrete_function()} if signature else None
    tf.saved_model.save(extractor, str(tmp_path), signatures=signatures)
    backbone = custom.from_saved_model(str(tmp_path), 32)
    image = np.random.default_rng(0).uniform(0, 1, (2, 32, 32, 3)).astype("f4")
    assert backbone.output_shape == ((None, 5) if pooled else (None, 8, 8, 5))
    np.testing.assert_allclose(backbone(image), extractor(tf.constant(image)), atol=1e-6)
    assert backbone.trainable_weights == []


def test_a_saved_model_that_is_no_extractor_is_refused(tmp_path):
    class Scalar(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 32, 32, 3), tf.float32)])
        def __call__(self, images):
            return tf.reduce_mean(images, (1, 2, 3))

    tf.saved_model.save(Scalar(), str(tmp_path))
    with pytest.raises(BackboneError, match=r"one float output is expected.*Received: \[\('float32', \(None,\)"):
        custom.from_saved_model(str(tmp_path), 32)
    with pytest.raises(BackboneError, match="gone: can't be loaded as a SavedModel"):
        custom.from_saved_model(str(tmp_path / "gone"), 48)


class Images(tf.Module):
    """Takes what its signature says, and answers with its mean over height and width."""

    def __init__(self, shape, dtype, name="serving_default"):
        super().__init__()
        spec = tf.TensorSpec(shape, dtype, "images")
        self.answer = tf.function(lambda images: tf.reduce_mean(tf.cast(images, tf.float32), (1, 2)))
        self._ways_in = {name: self.answer.get_concrete_function(spec)}

    def save(self, folder) -> str:
        tf.saved_model.save(self, str(folder), signatures=self._ways_in)
        return str(folder)


@pytest.mark.parametrize(
    ("shape", "dtype", "told"),
    [
        (
            (None, 64, 64, 3),
            tf.float32,
            r"takes float32 \[any, 64, 64, 3\]; one float32 \[any, 32, 32, 3\] is expected",
        ),
        ((1, 32, 32, 3), tf.float32, r"takes float32 \[1, 32, 32, 3\].* batches of any size"),
        ((None, 32, 32, 3), tf.uint8, r"takes uint8 \[any, 32, 32, 3\]"),
    ],
)
def test_a_signature_that_does_not_take_such_images_is_refused(tmp_path, shape, dtype, told):
    with pytest.raises(BackboneError, match=told):
        custom.from_saved_model(Images(shape, dtype).save(tmp_path), 32)


def test_a_saved_model_without_a_way_in_names_its_signatures(tmp_path):
    folder = Images((None, 32, 32, 3), tf.float32, name="embed").save(tmp_path)
    with pytest.raises(BackboneError, match=r"serving_default is expected.* Its signatures: \['embed'\]"):
        custom.from_saved_model(folder, 32)


def test_a_sequential_model_is_cut_at_a_layer(tmp_path):
    stack = [keras.layers.Conv2D(4, 3, name="first"), keras.layers.Conv2D(5, 3, name="second"), keras.layers.Flatten()]
    keras.Sequential([keras.Input((32, 32, 3)), *stack]).save(tmp_path / "own.keras")
    backbone = custom.from_keras_model(str(tmp_path / "own.keras"), "second", 32)
    batch = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype("f4")
    np.testing.assert_allclose(backbone(batch), stack[1](stack[0](batch)), atol=1e-5)


def test_a_model_of_other_inputs_is_refused(tmp_path):
    image, more = keras.Input((32, 32, 3)), keras.Input((3,))
    joined = keras.layers.Concatenate(name="joined")([keras.layers.GlobalAveragePooling2D()(image), more])
    keras.Model([image, more], joined).save(tmp_path / "two.keras")
    with pytest.raises(BackboneError, match=r"one input is expected, images\. Received: \['\[any, 32, 32, 3\]'"):
        custom.from_keras_model(str(tmp_path / "two.keras"), "joined", 32)


@pytest.mark.parametrize("fixed_size", [True, False])
def test_a_keras_model_is_cut_at_a_layer(tmp_path, fixed_size):
    side = 32 if fixed_size else None
    image = keras.Input((side, side, 3))
    x = keras.layers.Conv2D(4, 3, 2, padding="same", name="first")(image)
    x = keras.layers.Conv2D(6, 3, 2, padding="same", name="second")(x)
    whole = keras.Model(image, keras.layers.Dense(3, name="top")(keras.layers.GlobalAveragePooling2D()(x)), name="own")
    whole.save(tmp_path / "own.keras")
    backbone = custom.from_keras_model(str(tmp_path / "own.keras"), "second", 32)
    assert backbone.output_shape == (None, 8, 8, 6)
    batch = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype("f4")
    np.testing.assert_allclose(backbone(batch), keras.Model(whole.input, x)(batch), atol=1e-6)
    assert [layer.name for layer in backbone.layers[-2:]] == ["first", "second"]
    with pytest.raises(BackboneError, match=r"has no layer 'third'; its last ones are .*second.*top"):
        custom.from_keras_model(str(tmp_path / "own.keras"), "third", 32)
    if fixed_size:
        with pytest.raises(BackboneError, match=r"takes \(None, 32, 32, 3\), not images of 48x48x3"):
            custom.from_keras_model(str(tmp_path / "own.keras"), "second", 48)
