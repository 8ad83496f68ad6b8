"""Which feature maps count as the ends of blocks."""

import keras
import numpy as np
import pytest
from keras import layers

from modules.backbones import blocks, builders


def sizes(tensors):
    return [(tensor.shape[1], tensor.shape[-1]) for tensor in tensors]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "MobileNetV2",
            [
                *((48, 16), (24, 24), (24, 24), (12, 32), (12, 32), (12, 32), (6, 64), (6, 64), (6, 64), (6, 64)),
                *((6, 96), (6, 96), (6, 96), (3, 160), (3, 160), (3, 160), (3, 320), (3, 1280)),
            ],
        ),
        ("VGG16", [(48, 64), (24, 128), (12, 256), (3, 512)]),
        ("ResNet50", [(48, 64), (24, 256), (12, 512), (6, 1024), (3, 2048)]),  # of 17 blocks, the last of each size
    ],
)
def test_the_ends_of_blocks_are_found_without_their_names(name, expected):
    assert sizes(blocks.ends(builders.build(name, 96, "none"))) == expected


def test_gates_and_pixels_end_no_block():
    """A squeeze-and-excitation in a bottleneck, on scaled pixels."""
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(16, 3, strides=2, padding="same")(layers.Rescaling(1 / 255)(image))
    x = layers.Conv2D(64, 1)(x)
    gate = layers.Dense(64, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    x = layers.Conv2D(24, 1)(layers.Multiply()([x, gate]))
    x = layers.Conv2D(48, 3, padding="same")(x)
    assert sizes(blocks.ends(keras.Model(image, x))) == [(16, 16), (16, 24), (16, 48)]


def test_pooled_features_are_the_averages_of_the_maps():
    image = keras.Input((16, 16, 3))
    low = layers.MaxPooling2D()(layers.Conv2D(4, 3)(image))
    high = layers.Conv2D(8, 3)(low)
    backbone = keras.Model(image, high, name="net")
    images = np.random.default_rng(0).normal(size=(2, 16, 16, 3)).astype(np.float32)
    maps = keras.Model(image, [low, high])(images)
    averages = [np.asarray(found).mean(axis=(1, 2)) for found in maps]
    everything = blocks.pooled(backbone, "all")
    assert everything.name == "net"
    np.testing.assert_allclose(everything(images), np.concatenate(averages, axis=1), atol=1e-6)
    np.testing.assert_allclose(blocks.pooled(backbone, "last")(images), averages[1], atol=1e-6)
    assert blocks.pooled(backbone, None) is backbone


def test_a_backbone_that_gives_a_vector_keeps_it_as_its_last_block():
    image = keras.Input((16, 16, 3))
    x = layers.MaxPooling2D()(layers.Conv2D(4, 3)(image))
    backbone = keras.Model(image, layers.Dense(5)(layers.Flatten()(x)))
    assert blocks.pooled(backbone, "all").output_shape == (None, 4 + 5)
    assert blocks.pooled(backbone, "last").output is backbone.output
