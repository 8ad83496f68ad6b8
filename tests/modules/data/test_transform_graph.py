import numpy as np
import tensorflow as tf
from drawing import encode, flat
from examples import example

from modules.data import features, transform_graph


def test_class_names_are_the_assets_lines(transform_output):
    assert transform_graph.class_names(transform_output) == ["cyan", "magenta", "yellow"]


def test_the_reader_gives_the_graphs_outputs_with_key_and_weight(transform_output):
    read = tf.function(transform_graph.reader(transform_output))
    made = [example("yellow", seed=1, weight=0.5), example("cyan", seed=2)]
    found = read(tf.constant([one.SerializeToString() for one in made]))
    assert found[features.TRANSFORMED_LABEL].numpy().tolist() == [2, 0]
    assert found[features.WEIGHT].numpy().tolist() == [0.5, 1.0]
    keys = [one.features.feature[features.KEY].bytes_list.value[0] for one in made]
    assert found[features.KEY].numpy().tolist() == keys
    inputs = {features.ENCODED: tf.constant([[encode(flat("yellow", (40, 40), 1))]])}
    image = transform_output.transform_features_layer()(inputs)[features.TRANSFORMED_IMAGE]
    np.testing.assert_allclose(found[features.TRANSFORMED_IMAGE][0], image[0], atol=1e-5)
