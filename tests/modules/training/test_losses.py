import keras
import numpy as np
import pytest
import tensorflow as tf

from config.training import LossConfig
from modules.training import losses

LOGITS = np.array([[2.0, -1.0, 0.5], [0.1, 0.2, 3.0]], "f4")
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
INDEX = tf.constant([0, 1], tf.int64)


def loss(output: str, **options) -> keras.losses.Loss:
    return losses.make_loss(output, LossConfig(**{"label_smoothing": 0.0, **options}))


def test_softmax_and_logits_mean_the_same():
    labels = losses.encode_labels(INDEX, 3, "softmax")
    expected = -np.log(PROBABILITIES[[0, 1], [0, 1]]).mean()
    assert float(loss("softmax")(labels, PROBABILITIES)) == pytest.approx(expected, rel=1e-5)
    assert float(loss("logits")(labels, LOGITS)) == pytest.approx(expected, rel=1e-5)
    smoothed = labels * 0.9 + 0.1 / 3
    expected = -(smoothed.numpy() * np.log(PROBABILITIES)).sum(axis=1).mean()
    assert float(loss("logits", label_smoothing=0.1)(labels, LOGITS)) == pytest.approx(expected, rel=1e-5)


def test_focal_loss_weighs_down_what_is_right_already():
    labels = losses.encode_labels(INDEX, 3, "softmax")
    true = PROBABILITIES[[0, 1], [0, 1]]
    expected = (-((1 - true) ** 2) * np.log(true)).mean()
    assert float(loss("softmax", focal_gamma=2.0)(labels, PROBABILITIES)) == pytest.approx(expected, rel=1e-4)
    assert float(loss("softmax", focal_gamma=0.0)(labels, PROBABILITIES)) == pytest.approx(
        -np.log(true).mean(), rel=1e-4
    )


def test_a_sigmoid_is_the_probability_of_class_one():
    labels = losses.encode_labels(INDEX, 2, "sigmoid")
    answer = np.array([[0.2], [0.7]], "f4")
    assert float(loss("sigmoid")(labels, answer)) == pytest.approx(-(np.log(0.8) + np.log(0.7)) / 2, rel=1e-5)
    metric = losses.accuracy("sigmoid")
    metric.update_state(labels, answer)
    assert float(metric.result()) == 1.0
    focal = loss("sigmoid", focal_gamma=2.0)(labels, answer)
    assert float(focal) == pytest.approx(-(0.04 * np.log(0.8) + 0.09 * np.log(0.7)) / 2, rel=1e-4)


def test_class_weights_balance_or_are_given_by_name():
    classes, counts = ["a", "b", "c"], [10, 30, 60]
    assert losses.class_weights(None, classes, counts) is None
    balanced = losses.class_weights("balanced", classes, counts)
    assert np.multiply(balanced, counts).tolist() == pytest.approx([100 / 3] * 3)
    assert losses.class_weights("auto", classes, [100, 20, 21]) is None
    assert losses.class_weights("auto", classes, [100, 19, 21]) == losses.class_weights(
        "balanced", classes, [100, 19, 21]
    )
    assert losses.class_weights({"b": 2.5}, classes, counts) == [1.0, 2.5, 1.0]
    with pytest.raises(losses.LossError, match=r"the classes are a, b, c. Received: \['d'\]"):
        losses.class_weights({"d": 1.0}, classes, counts)


def test_accuracy_takes_logits():
    metric = losses.accuracy("logits")
    metric.update_state(losses.encode_labels(INDEX, 3, "logits"), LOGITS)
    assert float(metric.result()) == 0.5
    assert isinstance(metric, keras.metrics.CategoricalAccuracy)


@pytest.mark.parametrize(
    ("of_class", "by_example", "expected"),
    [(None, False, None), ([2.0, 3.0], False, [2.0, 3.0]), (None, True, [0.5, 4.0]), ([2.0, 3.0], True, [1.0, 12.0])],
)
def test_weights_of_classes_and_of_examples_are_multiplied(of_class, by_example, expected):
    labels = losses.Labels(2, "softmax", of_class, by_example)
    target, *weights = labels.encode(INDEX, tf.constant([0.5, 4.0]))
    np.testing.assert_array_equal(target, np.eye(2))
    assert [weight.numpy().tolist() for weight in weights] == ([] if expected is None else [expected])
    assert len(labels.unweighted().encode(INDEX, tf.constant([0.5, 4.0]))) == 1
