import keras
import numpy as np
import pytest
import tensorflow as tf
from drawing import stripes

from modules.training.rand_augment import OPERATIONS, rand_augment

SIZE, STRENGTH = 32, 0.5
PIXELS = tf.constant(np.stack([np.roll(stripes(SIZE), 3 * n, axis=1) * 0.8 + 20 for n in range(5)]), tf.float32)


def flat(values):
    return tf.reshape(values, [-1])


# Kerass's random amounts of an operation to the numbers in [0, 1) that give the same amounts here.
NUMBERS = {
    "random_shear": lambda t: (
        (t["shear_factor"][:, 0] / STRENGTH + 1) / 2,
        tf.abs(t["shear_factor"][:, 1]) / STRENGTH,
    ),
    "random_translation": lambda t: tf.unstack(t["translations"] / SIZE / STRENGTH, axis=1),
    "random_rotation": lambda t: [t["angle"] / 360 / STRENGTH],
    "random_brightness": lambda t: [flat(t["rgb_delta"]) / 255 / STRENGTH],
    "random_color_degeneration": lambda t: [flat(t["factor"]) / STRENGTH],
    "random_contrast": lambda t: [(flat(t["contrast_factor"]) - 1) / STRENGTH],
    "random_sharpness": lambda t: [t["factor"] / STRENGTH],
    "random_posterization": lambda t: [(7.5 - tf.cast(t["shift_factor"], tf.float32)) / (8 * STRENGTH - 1)],
    "solarization": lambda t: [flat(t[name]) / 255 / STRENGTH for name in ("additions", "thresholds")],
    "auto_contrast": lambda t: [],
    "equalization": lambda t: [],
}


@pytest.mark.parametrize("name", NUMBERS)
def test_an_operation_is_kerass_with_the_same_range_of_amounts(name):
    library = keras.layers.RandAugment(value_range=(0, 255), factor=STRENGTH, seed=1)
    assert list(NUMBERS) == library._AUGMENT_LAYERS and len(OPERATIONS) == len(NUMBERS)
    layer, zeros = getattr(library, name), tf.zeros(len(PIXELS))
    drawn = layer.get_random_transformation(PIXELS, training=True)
    first, second = (*NUMBERS[name](drawn), zeros, zeros)[:2]
    assert np.min([first, second]) >= 0 and np.max([first, second]) < 1
    # One image at a time: Keras equalizes the histogram of the whole batch.
    alone = [
        layer.transform_images(PIXELS[n : n + 1], drawn and {k: _of_image(v, n) for k, v in drawn.items()})[0]
        for n in range(len(PIXELS))
    ]
    changed = OPERATIONS[list(NUMBERS).index(name)](PIXELS, STRENGTH, first, second)
    assert np.abs(np.stack(alone) - PIXELS).max() > 1
    np.testing.assert_allclose(changed, np.clip(alone, 0, 255), atol=0.02)


def _of_image(amounts, number):
    return amounts[number : number + 1] if tf.is_tensor(amounts) and amounts.shape.rank else amounts


def test_each_image_of_a_batch_has_its_own_operations():
    operations = (tf.range(len(OPERATIONS), dtype=tf.float32) + 0.5) / len(OPERATIONS)
    pixels = tf.repeat(PIXELS[:1], len(OPERATIONS), axis=0)

    def draw(name):
        return operations if name.endswith("operation") else tf.fill((len(OPERATIONS),), 0.75)

    changed = rand_augment(pixels, STRENGTH, draw)
    number = tf.constant([0.75])
    for index, operation in enumerate(OPERATIONS):
        once = operation(pixels[:1], STRENGTH, number, number)
        np.testing.assert_allclose(changed[index], operation(once, STRENGTH, number, number)[0], atol=0.01)
