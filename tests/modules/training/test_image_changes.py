"""Each change means what Keras's layer of the same purpose means."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from drawing import stripes

from modules.training import image_changes

WIDTH, HEIGHT = 40, 24
PIXELS = tf.constant(np.stack([np.roll(stripes(WIDTH), n, axis=0)[:HEIGHT] for n in range(6)]), tf.float32)
ONE, ZERO = tf.ones(6), tf.zeros(6)
RANGE = {"value_range": (0, 255)}


def rotate(pixels, drawn):
    return image_changes.warp(pixels, drawn["angle"] * math.pi / 180, (ONE, ONE), (ZERO, ZERO))


def zoom(pixels, drawn):
    return image_changes.warp(pixels, ZERO, (drawn["width_zoom"][:, 0], drawn["height_zoom"][:, 0]), (ZERO, ZERO))


def shift(pixels, drawn):
    x, y = tf.unstack(drawn["translations"], axis=1)
    return image_changes.warp(pixels, ZERO, (ONE, ONE), (x / WIDTH, y / HEIGHT))


CHANGES = [
    (keras.layers.RandomFlip("horizontal"), lambda p, t: image_changes.flip(p, 2, tf.reshape(t["flips"], [-1]))),
    (keras.layers.RandomFlip("vertical"), lambda p, t: image_changes.flip(p, 1, tf.reshape(t["flips"], [-1]))),
    (keras.layers.RandomRotation(0.5), rotate),
    (keras.layers.RandomZoom((-0.5, 0.0), (-0.5, 0.0)), zoom),
    (keras.layers.RandomTranslation(0.4, 0.4), shift),
    (
        keras.layers.RandomBrightness(0.5, **RANGE),
        lambda p, t: image_changes.brighten(p, tf.reshape(t["rgb_delta"], [-1]) / 255),
    ),
    (
        keras.layers.RandomContrast((0.9, 0.9), **RANGE),
        lambda p, t: image_changes.stretch_contrast(p, tf.reshape(t["contrast_factor"], [-1])),
    ),
    (keras.layers.RandomSaturation((0.1, 0.9), **RANGE), lambda p, t: image_changes.saturate(p, t["factor"])),
    (keras.layers.RandomHue(0.9, **RANGE), lambda p, t: image_changes.turn_hue(p, t["factor"])),
]


@pytest.mark.parametrize(("layer", "change"), CHANGES, ids=lambda value: getattr(value, "name", ""))
def test_the_same_amount_gives_the_picture_of_kerass_layer(layer, change):
    drawn = layer.get_random_transformation(PIXELS, training=True, seed=keras.random.SeedGenerator(1))
    expected = np.clip(layer.transform_images(PIXELS, drawn), 0, 255)
    assert (np.abs(expected - PIXELS).max(axis=(1, 2, 3)) > 1).sum() >= 3
    np.testing.assert_allclose(change(PIXELS, drawn), expected, atol=0.02)


def test_a_warp_is_a_flip_a_rotation_a_zoom_and_a_shift_one_after_the_other():
    """On ramps, interpolations add no error; the mirrored border is left out."""
    y, x = np.mgrid[0:61, 0:81].astype("f4")
    ramps = tf.constant(np.stack([2 * x + 30, 3 * y + 20, x + y], axis=-1)[None])

    def warp(pixels, angle=0.0, zoom=(1.0, 1.0), shift=(0.0, 0.0)):
        of_one = tf.constant([angle]), *((tf.constant([a]), tf.constant([b])) for a, b in (zoom, shift))
        return image_changes.warp(pixels, *of_one)

    for signs in ((1, 1), (-1, 1), (1, -1), (-1, -1)):
        apart = image_changes.flip(image_changes.flip(ramps, 2, [signs[0] < 0]), 1, [signs[1] < 0])
        # What is mirrored first is turned the other way.
        apart = warp(warp(warp(apart, angle=0.2 * signs[0] * signs[1]), zoom=(0.7, 0.9)), shift=(0.1, -0.05))
        together = warp(ramps, angle=0.2, zoom=(0.7 * signs[0], 0.9 * signs[1]), shift=(0.1, -0.05))
        np.testing.assert_allclose(together[0, 15:45, 20:60], apart[0, 15:45, 20:60], atol=0.01)


def test_extreme_amounts():
    grey = image_changes.saturate(PIXELS, ZERO)
    np.testing.assert_array_equal(grey, np.repeat(np.max(PIXELS, axis=-1, keepdims=True), 3, axis=-1))
    np.testing.assert_allclose(image_changes.turn_hue(PIXELS, ONE), PIXELS, atol=0.02)
    np.testing.assert_allclose(
        image_changes.fade(PIXELS, ONE), tf.image.rgb_to_grayscale(PIXELS) + tf.zeros(3), atol=0.02
    )
    np.testing.assert_array_equal(image_changes.posterize(PIXELS, 8 * ONE), PIXELS)
    flat = tf.fill((2, 5, 5, 3), 77.0)
    np.testing.assert_array_equal(image_changes.equalize(flat), flat)
    np.testing.assert_array_equal(image_changes.stretch_to_range(flat), flat)
