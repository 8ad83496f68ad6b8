import sys
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

from modules import trunk_runtime

IMAGES = trunk_runtime.sample_pixels((24, 24)) / 127.5 - 1


@pytest.fixture(scope="module")
def model():
    """A trunk with what the backbones' have: strides, depth-wise kernels, BatchNorm, a skip connection."""
    image = keras.Input((24, 24, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(image)
    x = keras.layers.BatchNormalization(moving_variance_initializer=keras.initializers.RandomUniform(0.5, 1.5))(x)
    x = skip = keras.layers.ReLU(6)(x)
    x = keras.layers.DepthwiseConv2D(3, padding="same")(x)
    return keras.Model(image, keras.layers.Add()([x, skip]))


@pytest.mark.parametrize("asked", ["auto", "openvino"])
def test_openvino_gives_what_tensorflow_gives(model, asked):
    runtime = trunk_runtime.choose(asked, model, IMAGES)
    assert (runtime.name, runtime.reason) == ("openvino", "")
    in_graph = tf.function(runtime.run, input_signature=[tf.TensorSpec((None, 24, 24, 3))])
    assert in_graph.get_concrete_function().outputs[0].shape.as_list() == [None, 12, 12, 8]
    for images in (IMAGES, IMAGES[:1], tf.repeat(IMAGES, 5, axis=0)):
        np.testing.assert_allclose(in_graph(images), model(images, training=False), atol=1e-5)


def test_threads_do_not_get_each_others_results(model):
    run = trunk_runtime.choose("openvino", model, IMAGES).run
    batches = [IMAGES * scale for scale in (0.1, 0.5, 1.0, 2.0)]
    expected, wrong = [model(batch, training=False).numpy() for batch in batches], []

    def compare(index):
        for _ in range(20):
            if not np.allclose(run(batches[index]), expected[index], atol=1e-4):
                wrong.append(index)

    threads = [threading.Thread(target=compare, args=(index,)) for index in range(len(batches))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_tensorflow_is_taken_where_openvino_is_missing_and_a_wish_for_it_is_refused(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    runtime = trunk_runtime.choose("auto", model, IMAGES)
    assert (runtime.name, runtime.reason) == ("tensorflow", "openvino is not installed (pip install openvino)")
    np.testing.assert_allclose(runtime.run(IMAGES), model(IMAGES, training=False), atol=1e-5)
    with pytest.raises(
        trunk_runtime.TrunkRuntimeError, match=r"^trunk_features\.runtime: openvino is not installed \(.*\); auto"
    ):
        trunk_runtime.choose("openvino", model, IMAGES)


def test_openvino_is_not_taken_on_gpus_unless_it_is_asked_for(model, monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    assert trunk_runtime.choose("auto", model, IMAGES).reason == "a GPU is visible"
    assert trunk_runtime.choose("openvino", model, IMAGES).name == "openvino"


@pytest.mark.parametrize("factor", [1.001, float("nan")])
def test_other_results_than_tensorflows_are_refused(model, monkeypatch, factor):
    kept = trunk_runtime._compiled

    class Inexact:
        def __init__(self, compiled):
            self.request = compiled.create_infer_request()

        def create_infer_request(self):
            return self

        def infer(self, images, share_inputs):
            return [self.request.infer(images)[0] * factor]

    monkeypatch.setattr(trunk_runtime, "_compiled", lambda *args: Inexact(kept(*args)))
    runtime = trunk_runtime.choose("auto", model, IMAGES)
    assert runtime.name == "tensorflow" and runtime.reason.startswith("OpenVINO's results differ from TensorFlow's by")
    with pytest.raises(trunk_runtime.TrunkRuntimeError, match=r"trunk_features\.runtime: OpenVINO's results differ"):
        trunk_runtime.choose("openvino", model, IMAGES)


def test_a_trunk_that_openvino_cannot_read_runs_in_tensorflow():
    image = keras.Input((24, 24, 3))
    odd = keras.Model(image, keras.layers.Lambda(lambda x: tf.math.lgamma(x))(image))
    runtime = trunk_runtime.choose("auto", odd, IMAGES)
    assert runtime.name == "tensorflow" and runtime.reason.startswith("OpenVINO cannot run the trunk (")


def test_nothing_of_openvino_reports_its_use():
    assert sys.modules["openvino_telemetry"] is None
