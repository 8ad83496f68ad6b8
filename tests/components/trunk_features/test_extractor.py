"""What is kept of each image, and whether that pays."""

import numpy as np
import pytest
import tensorflow as tf
from examples import folder_of, raw_examples
from kept import recipe

from components.trunk_features.extractor import Extractor, Recipe
from modules.data import features, trunk_features
from modules.data.trunk_features import Manifest


@pytest.mark.parametrize(
    ("change", "shape", "mode", "reason"),
    [
        ({}, (3, 3, 1152), "cached", ""),
        ({"layers": None}, (3, 3, 1280), "cached", ""),
        ({"layers": None, "pooling": "max"}, (1280,), "cached", ""),
        ({"layers": "all"}, (96, 96, 3), "pixels", "fine-tuning reaches down to the backbone's first weights"),
        (
            {"layers": 135},
            (48, 48, 32),
            "pixels",
            "an image's activations are 73,728 values, more than 2 times its 27,648 pixel values",
        ),
        ({"layers": 135, "required": True}, (48, 48, 32), "cached", ""),
    ],
)
def test_what_is_kept_and_whether_it_pays(transform_output, change, shape, mode, reason, tmp_path):
    made = recipe(**change)
    manifest = Extractor(made, folder_of(transform_output)).manifest
    assert (manifest.shape, manifest.mode) == (shape, mode)
    assert manifest.reason.startswith(reason) and bool(manifest.reason) == bool(reason)
    manifest.write(str(tmp_path))
    assert Manifest.read(str(tmp_path)) == manifest


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"layers": "all", "required": True},
            r"trunk_features\.mode: cached is not possible: fine-tuning reaches down",
        ),
        (
            {"layers": 135, "views": 3},
            r"trunk_features\.views: 3 views cannot be kept: an image's activations are",
        ),
    ],
)
def test_what_must_be_kept_and_can_not_is_refused(transform_output, change, told):
    made = recipe(augmentation={"hue": 0.1}, seed=0, **change)
    with pytest.raises(trunk_features.NotKeptError, match=told):
        _ = Extractor(made, folder_of(transform_output)).manifest


def test_features_of_an_image_are_what_the_trunk_makes_of_it_and_of_its_views(transform_output, example_files):
    made = recipe(dtype="float32", views=3, augmentation={"rotation": 90.0}, seed=1)
    serialized = raw_examples(example_files, "train")
    extractor = Extractor(made, folder_of(transform_output))
    keys, labels, weights, activations = (part.numpy() for part in extractor(tf.constant(serialized), 3))
    examples = [tf.train.Example.FromString(record).features.feature for record in serialized]
    assert keys.tolist() == [example[features.KEY].bytes_list.value[0] for example in examples]
    assert sorted(np.bincount(labels)) == [4, 4, 4]
    assert weights.tolist() == [1.0] * 12
    plain = Extractor(recipe(dtype="float32"), folder_of(transform_output))
    np.testing.assert_array_equal(plain(tf.constant(serialized), 1)[3][:, 0], activations[:, 0])
    assert (np.abs(activations[:, 0] - activations[:, 1]).max(axis=(1, 2, 3)) > 1e-3).all()
    assert (np.abs(activations[:, 2] - activations[:, 1]).max(axis=(1, 2, 3)) > 1e-3).all()
    alone = extractor(tf.constant(serialized[5:6]), 3)[3][0].numpy()
    np.testing.assert_allclose(alone, activations[5], atol=1e-4)


def test_a_recipe_travels_as_text():
    made = recipe(views=3, augmentation={"rotation": 90.0}, seed=1, layers=0.25)
    assert Recipe.parse(made.serialized()) == made
    for layers in (10, "last_conv", "all", None):
        assert Recipe.parse(recipe(layers=layers).serialized()).layers == layers
