import numpy as np
import tensorflow as tf
from drawing import encode, flat

from modules.data import features, transform_graph


def transform(transform_output, images: list[bytes], labels: list[str] | None = None) -> dict[str, np.ndarray]:
    inputs = {features.ENCODED: tf.constant(images)[:, tf.newaxis]}
    if labels is not None:
        inputs[features.LABEL] = tf.constant([label.encode() for label in labels])[:, tf.newaxis]
    return {name: value.numpy() for name, value in transform_output.transform_features_layer()(inputs).items()}


def test_classes_are_in_the_order_of_the_alphabet_not_of_their_frequency(transform_output):
    assert transform_graph.class_names(transform_output) == ["cyan", "magenta", "yellow"]
    images = [encode(flat("cyan"))] * 4
    found = transform(transform_output, images, ["yellow", "cyan", "magenta", "infra-red"])
    assert found[features.TRANSFORMED_LABEL].tolist() == [2, 0, 1, -1]
    assert found[features.TRANSFORMED_LABEL].dtype == np.int64


def test_the_image_comes_out_as_the_backbone_takes_it(transform_output):
    image = transform(transform_output, [encode(flat("magenta", (50, 7)))])[features.TRANSFORMED_IMAGE]
    assert image.shape == (1, 96, 96, 3) and image.dtype == np.float32
    expected = np.broadcast_to((1.0, -127 / 128, 1.0), (96, 96, 3))
    np.testing.assert_allclose(image[0], expected, atol=1e-5)


def test_no_label_is_needed_to_transform_an_image(transform_output):
    assert features.TRANSFORMED_LABEL not in transform(transform_output, [encode(flat("cyan"))])
