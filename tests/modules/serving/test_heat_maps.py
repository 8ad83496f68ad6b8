"""Heat maps of small classifiers whose weights say what they look at."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from config.classifier import ClassifierConfig
from modules import classifier
from modules.backbones import blocks
from modules.serving import heat_maps

SIZE, CLASSES = 96, ["blue", "green", "red"]
HEADS = {
    "conv": {"kind": "conv", "filters": [4]},
    "dense": {"kind": "dense"},
    "max": {"kind": "dense", "pooling": "max"},
    "hidden": {"kind": "hidden", "units": 4},
    "all blocks": {"kind": "logistic"},
    "last block": {"kind": "logistic", "blocks": "last"},
    "sigmoid": {"kind": "dense", "output": "sigmoid"},
    "logits": {"kind": "dense", "output": "logits"},
}


def backbone(last: str = "map") -> keras.Model:
    """Three blocks, each with one channel per colour.

    The first two are means of 8x8 pixels; the third is the second, moved by two columns. The map to look at is the
    second: the first one that is as small as the last.
    """
    image = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(3, 4, strides=4, use_bias=False, name="fine")(image)
    x = keras.layers.Add()([x, x])  # ends the block
    x = keras.layers.Conv2D(3, 2, strides=2, use_bias=False, name="coarse")(x)
    x = keras.layers.Add()([x, x])
    x = keras.layers.Conv2D(3, 5, padding="same", use_bias=False, name="moved")(x)
    if last == "vector":
        x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, x)
    for name, area in (("fine", 16), ("coarse", 4)):
        kernel = model.get_layer(name).kernel
        kernel.assign(np.broadcast_to(np.eye(3), kernel.shape) / area)
    moved = np.zeros((5, 5, 3, 3), np.float32)
    moved[2, 0] = np.eye(3)
    model.get_layer("moved").kernel.assign(moved)
    return model


def built(kind: str, last: str = "map") -> classifier.Classifier:
    """Its classes are told apart by their colour; sigmoid: only green and red."""
    sections = {"backbone": {"image_size": SIZE}, "head": HEADS[kind], "training": {"fine_tune": None}}
    config = ClassifierConfig.model_validate(sections)
    names = CLASSES[1:] if kind == "sigmoid" else CLASSES
    made = classifier.on_backbone(blocks.pooled(backbone(last), config.head.pooled_blocks), config, names)
    for variable in made.head.trainable_variables:
        if len(variable.shape) > 1 and variable.shape[-1] > 1:
            diagonal = np.zeros(variable.shape[-2:])
            for index in range(diagonal.shape[0]):
                diagonal[index, index % 3] = 5.0
            variable.assign(np.broadcast_to(diagonal, variable.shape) / np.prod(variable.shape[:-2]))
        elif len(variable.shape) > 1:
            variable.assign([[0.0], [-5.0], [5.0]])
    return made


def photo(*patches: tuple[int, int, int], background: float = 0.1) -> np.ndarray:
    """Dark grey, with 8x8 pixels of one colour each: row and column in 8 pixels, and channel."""
    image = np.full((SIZE, SIZE, 3), background, np.float32)
    for row, column, channel in patches:
        image[8 * row : 8 * row + 8, 8 * column : 8 * column + 8, channel] = 1
    return image


def drawn(made: classifier.Classifier, images: list[np.ndarray], indices: list[int], mirrored=False) -> np.ndarray:
    draw = heat_maps.of(made, mirrored)
    assert draw is not None
    return draw(tf.constant(np.stack(images)), tf.constant(indices, tf.int64)).numpy()


@pytest.mark.parametrize("kind", HEADS)
def test_the_place_that_speaks_for_the_class_is_the_hottest(kind):
    made = built(kind)
    patches = photo((1, 6, 0), (5, 2, 2), (6, 6, 1))
    green, red = (0, 1) if kind == "sigmoid" else (1, 2)
    maps = drawn(made, [patches, patches], [green, red])
    assert maps.shape == (2, 12, 12) and maps.dtype == np.float32
    for heat, place in zip(maps, [(6, 6), (5, 2)], strict=True):
        assert heat.min() >= 0 and heat.max() == 1
        assert np.unravel_index(heat.argmax(), heat.shape) == place


def test_each_image_of_a_batch_has_the_map_that_it_has_alone():
    made, images = built("hidden"), [photo((row, 3, 2)) for row in range(3)]
    together = drawn(made, images, [2, 2, 0])
    alone = [drawn(made, [image], [index])[0] for image, index in zip(images, [2, 2, 0], strict=True)]
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_a_model_that_averages_mirror_images_looks_at_both():
    made = built("conv")
    # A kernel that only sees its left neighbour makes the classifier treat left and right differently.
    kernel = made.head.get_layer("head0_conv").kernel
    shifted = np.zeros(kernel.shape, np.float32)
    shifted[1, 0] = kernel[1, 1] * 9
    kernel.assign(shifted)
    image = photo((2, 1, 2), (4, 5, 2))
    for mirrored in (False, True):
        own, other = drawn(made, [image, image[:, ::-1]], [2, 2], mirrored)
        assert np.allclose(own, other[:, ::-1], atol=1e-6) == mirrored


def test_an_image_that_is_the_same_everywhere_has_no_heat_and_no_number_is_missing():
    made = built("dense")
    np.testing.assert_array_equal(drawn(made, [photo(background=0.5)], [1]), np.zeros((1, 12, 12)))


def test_a_backbone_that_ends_with_a_vector_may_have_a_map_inside():
    maps = drawn(built("dense", last="vector"), [photo((5, 2, 2))], [2])
    assert maps.shape == (1, 12, 12) and maps[0, 5, 2] == 1


def test_a_backbone_without_a_map_has_none(caplog):
    image = keras.Input((SIZE, SIZE, 3))
    vector = keras.Model(image, keras.layers.Dense(4)(keras.layers.Flatten()(keras.layers.AveragePooling2D(32)(image))))
    config = ClassifierConfig.model_validate({"backbone": {"image_size": SIZE}, "head": HEADS["dense"]})
    with caplog.at_level("INFO", "regraft"):
        assert heat_maps.of(classifier.on_backbone(vector, config, CLASSES), mirrored=False) is None
    assert "no heat maps: the backbone has no feature map" in caplog.text


def test_a_head_that_cannot_be_differentiated_has_none(caplog):
    features = keras.Input((12, 12, 3))
    rounded = keras.ops.cast(keras.ops.cast(keras.ops.mean(features, axis=(1, 2)), "int32"), "float32")
    head = keras.Model(features, keras.layers.Dense(3, name="head_answer")(rounded))
    own = backbone()
    made = classifier.Classifier(classifier.join(own, head), own, head)
    with caplog.at_level("INFO", "regraft"):
        assert heat_maps.of(made, mirrored=False) is None
    assert "no gradient at the feature map" in caplog.text
