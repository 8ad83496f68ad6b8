import numpy as np
import pytest
import tensorflow as tf
from drawing import stripes
from tensorflow.python.framework import op_def_registry

from config.augmentation import AugmentationConfig
from modules.training.augmentation import Views

PIXELS = tf.constant(np.stack([stripes(32), stripes(32)[::-1], stripes(32).transpose(1, 0, 2)]).astype("f4"))
KEYS = tf.constant(["a", "b", "c"])


@pytest.mark.parametrize(
    "changes",
    [{"rotation": 40.0}, {"crop": 0.4}, {"hue": 0.3, "brightness": 0.2}, {"rand_augment": 0.8, "translation": 0.2}],
)
def test_a_view_depends_on_key_number_and_seed_alone(changes):
    config = AugmentationConfig(**changes)
    views = Views(config, seed=1)
    in_graph = tf.function(views)
    first = in_graph(PIXELS, KEYS, 1).numpy()
    np.testing.assert_array_equal(in_graph(PIXELS, KEYS, 1), first)
    np.testing.assert_array_equal(in_graph(PIXELS[::-1], KEYS[::-1], 1)[::-1], first)
    np.testing.assert_array_equal(tf.function(Views(config, seed=1))(PIXELS[1:2], KEYS[1:2], 1)[0], first[1])
    np.testing.assert_array_equal(views(PIXELS, KEYS, 0), PIXELS)
    others = [
        in_graph(PIXELS, KEYS, 2),
        tf.function(Views(config, seed=2))(PIXELS, KEYS, 1),
        in_graph(PIXELS, tf.constant(["x", "y", "z"]), 1),
    ]
    for other in (*others, PIXELS):
        assert (np.abs(other.numpy() - first).max(axis=(1, 2, 3)) > 1).all()
    assert first.shape == PIXELS.shape and first.min() >= 0 and first.max() <= 255


def test_about_half_of_the_images_are_mirrored():
    pixels = tf.repeat(PIXELS[:1] * tf.constant(np.linspace(0, 1, 32), tf.float32)[None, None, :, None], 200, axis=0)
    views = tf.function(Views(AugmentationConfig(flip="horizontal"), seed=0))
    view = views(pixels, tf.strings.as_string(tf.range(200)), 1)
    mirrored = np.abs(view - pixels).max(axis=(1, 2, 3)) > 1
    np.testing.assert_array_equal(view[mirrored][0], pixels[0, :, ::-1])
    assert 70 < mirrored.sum() < 130


def test_a_view_is_computed_without_state():
    config = AugmentationConfig(flip="horizontal", rotation=9, hue=0.1, contrast=0.1, rand_augment=0.5)
    traced = tf.function(Views(config, seed=0)).get_concrete_function(PIXELS, KEYS, 1)
    definition = traced.graph.as_graph_def()
    nodes = [*definition.node, *(node for function in definition.library.function for node in function.node_def)]
    definitions = [op_def_registry.get(node.op) for node in nodes]
    assert not traced.variables
    assert not {definition.name for definition in definitions if definition and definition.is_stateful}
