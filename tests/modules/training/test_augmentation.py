import numpy as np
import pytest
import tensorflow as tf
from drawing import stripes

from config.augmentation import AugmentationConfig
from modules.training import augmentation

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
