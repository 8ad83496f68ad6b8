import keras
import numpy as np
import pytest
import tensorflow as tf
from drawing import stripes

from config.augmentation import AugmentationConfig
from modules.training import augmentation, image_changes

PIXELS = np.stack([stripes(48), np.full((48, 48, 3), 200, np.uint8), stripes(48, 4)]).astype("f4")
LABELS = tf.one_hot([0, 1, 2], 3)
EACH = {
    "flip": "horizontal_and_vertical",
    "rotation": 45.0,
    "crop": 0.4,
    "translation": 0.3,
    "brightness": 0.5,
    "contrast": 0.8,
    "saturation": 0.9,
    "hue": 0.5,
    "rand_augment": 0.8,
    "mixup": 5.0,
    "cutmix": 1.0,
}


def augment(seed: int = 0, **changes) -> augmentation.Augmentation:
    return augmentation.Augmentation(AugmentationConfig(**changes), "softmax", seed)


@pytest.mark.parametrize("name", EACH)
def test_every_option_changes_images_and_keeps_their_shape_and_range(name):
    changed = 0
    for seed in range(6):
        pixels, labels = augment(seed, **{name: EACH[name]})(tf.constant(PIXELS), LABELS)
        assert pixels.shape == PIXELS.shape and pixels.dtype == tf.float32
        assert float(tf.reduce_min(pixels)) >= 0 and float(tf.reduce_max(pixels)) <= 255
        np.testing.assert_allclose(tf.reduce_sum(labels, axis=1), 1, atol=1e-5)
        assert name in ("mixup", "cutmix") or np.array_equal(labels, LABELS)
        changed += not np.allclose(pixels, PIXELS, atol=1)
    assert changed >= 3, "by chance it may leave some as they are"


def test_nothing_is_done_unless_it_is_asked_for():
    assert not augment()
    assert not augment(rotation=0.0, flip=None)
    assert augment(rotation=1.0)


def test_a_flip_is_a_flip():
    pixels = np.concatenate([PIXELS[:1]] * 32)
    flipped, _ = augment(flip="horizontal")(tf.constant(pixels), tf.one_hot([0] * 32, 3))
    kinds = {
        ("same" if np.allclose(f, PIXELS[0]) else "mirror" if np.allclose(f, PIXELS[0][:, ::-1]) else "?")
        for f in flipped
    }
    assert kinds == {"same", "mirror"}


def test_mixup_blends_labels_as_it_blends_pixels():
    flat = np.stack([np.full((8, 8, 3), value, "f4") for value in (0, 100, 200)])
    pixels, labels = augment(mixup=1.0)(tf.constant(flat), LABELS)
    blended = tf.linalg.matvec(labels, tf.constant([0.0, 100.0, 200.0]))
    np.testing.assert_allclose(pixels[:, 0, 0, 0], blended, atol=0.5)


def mirrored(pixels):
    """With a quarter of their mirror images around them."""
    return tf.pad(pixels, ((0, 0), (12, 12), (12, 12), (0, 0)), "SYMMETRIC")


ONE, ZERO = tf.ones(3), tf.zeros(3)
LIMITS = [
    (
        {"brightness": 0.2},
        lambda p: image_changes.brighten(p, -0.2 * ONE),
        lambda p: image_changes.brighten(p, 0.2 * ONE),
    ),
    (
        {"contrast": 0.4},
        lambda p: image_changes.stretch_contrast(p, 0.6 * ONE),
        lambda p: image_changes.stretch_contrast(p, 1.4 * ONE),
    ),
    ({"saturation": 0.5}, lambda p: image_changes.saturate(p, ONE / 3), lambda p: image_changes.saturate(p, 3 * ONE)),
    ({"hue": 0.4}, lambda p: image_changes.turn_hue(p, -0.2 * ONE), lambda p: image_changes.turn_hue(p, 0.2 * ONE)),
    ({"rotation": 90}, lambda p: tf.image.rot90(p, 3), tf.image.rot90),
    ({"crop": 0.25}, lambda p: p, lambda p: image_changes.warp(p, ZERO, (0.75 * ONE, 0.75 * ONE), (ZERO, ZERO))),
    ({"translation": 0.25}, lambda p: mirrored(p)[:, 24:, 24:], lambda p: mirrored(p)[:, :48, :48]),
    ({"flip": "horizontal"}, lambda p: p[:, :, ::-1], lambda p: p),
    ({"flip": "vertical"}, lambda p: p[:, ::-1], lambda p: p),
    ({"flip": "horizontal_and_vertical"}, lambda p: p[:, ::-1, ::-1], lambda p: p),
    (
        {"flip": "horizontal_and_vertical", "crop": 0.25},
        lambda p: p[:, ::-1, ::-1],
        lambda p: image_changes.warp(p, ZERO, (0.75 * ONE, 0.75 * ONE), (ZERO, ZERO)),
    ),
]


@pytest.mark.parametrize(("changes", "lowest", "highest"), LIMITS, ids=[str(changes) for changes, *_ in LIMITS])
def test_the_documented_limits_of_each_option(changes, lowest, highest):
    config, pixels = AugmentationConfig(**changes), tf.constant(PIXELS)
    for number, expected in ((0.0, lowest), (1 - 2.0**-24, highest)):
        changed = augmentation.change(pixels, config, lambda _, number=number: number * ONE)
        np.testing.assert_allclose(changed, expected(pixels), atol=0.05)


def test_both_flips_are_independent_of_each_other():
    pixels = np.concatenate([PIXELS[2:]] * 64)
    flipped, _ = augment(flip="horizontal_and_vertical")(tf.constant(pixels), tf.one_hot([0] * 64, 3))
    assert len({image.numpy().tobytes() for image in flipped}) == 4


def test_a_saved_random_state_repeats_the_augmentation():
    augmented = augment(rotation=90.0, mixup=1.0)
    classifier = keras.Sequential([keras.Input((48, 48, 3)), keras.layers.GlobalAveragePooling2D()])
    model = augmentation.AugmentedClassifier(classifier, augmented, lambda pixels: pixels)
    saved = [keras.ops.convert_to_numpy(variable) for variable in model.variables]
    first, other = (augmented(tf.constant(PIXELS), LABELS) for _ in range(2))
    for variable, value in zip(model.variables, saved, strict=True):
        variable.assign(value)
    again = augmented(tf.constant(PIXELS), LABELS)
    for of_first, of_again, of_other in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(of_first, of_again)
        assert not np.allclose(of_first, of_other)


def test_the_seed_decides():
    first, again, other = (augment(seed, rotation=90.0)(tf.constant(PIXELS), LABELS)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_mixed_labels_do_not_fit_a_sigmoid():
    with pytest.raises(augmentation.AugmentationError, match=r"augmentation\.mixup.*must not be sigmoid"):
        augmentation.Augmentation(AugmentationConfig(mixup=0.2), "sigmoid", 0)


def test_the_sheet_shows_each_image_as_it_is_and_changed(tmp_path):
    columns = augmentation.columns(augment(rotation=90.0), PIXELS)
    augmentation.write_sheet(columns, tmp_path / "sheet.png")
    sheet = tf.io.decode_png((tmp_path / "sheet.png").read_bytes()).numpy()
    assert sheet.shape == (3 * 48, 4 * 48, 3)
    np.testing.assert_array_equal(sheet[:48, :48], stripes(48))
    assert not np.array_equal(sheet[:48, 48:96], sheet[:48, 96:144])
