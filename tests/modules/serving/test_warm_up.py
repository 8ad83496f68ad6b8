import time

import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from components.serving_check.probe import Server
from modules.serving import WARM_UP_FILE


@pytest.fixture(scope="module")
def logged(version) -> list:
    """The requests, as TF Serving reads them: an uncompressed TFRecord file of PredictionLog."""
    records = tf.data.TFRecordDataset(str(version / WARM_UP_FILE)).as_numpy_iterator()
    return [prediction_log_pb2.PredictionLog.FromString(record).predict_log.request for record in records]


def test_there_is_a_request_for_each_signature_but_that_of_heat_maps(logged, version):
    assert WARM_UP_FILE.as_posix() == "assets.extra/tf_serving_warmup_requests"
    server = Server(str(version))
    assert {request.model_spec.signature_name for request in logged} == set(server.signatures) - {"explain"}
    for request in logged:
        signature = server.signatures[request.model_spec.signature_name]
        assert set(request.inputs) == set(signature.inputs)
        assert all(tf.make_ndarray(value).shape == (1,) for value in request.inputs.values())


def test_the_image_is_small_and_has_no_metadata(logged):
    (request,) = (one for one in logged if one.model_spec.signature_name == "serve_images")
    (image,) = tf.make_ndarray(request.inputs["images"]).tolist()
    assert image[:2] == b"\xff\xd8" and b"Exif" not in image
    assert tf.io.decode_image(image).shape == (96, 96, 3)
    (example,) = (one for one in logged if one.model_spec.signature_name == "serving_default")
    feature = tf.train.Example.FromString(tf.make_ndarray(example.inputs["examples"])[0]).features.feature
    assert set(feature) == {"image/encoded", "image/label"}
    assert feature["image/encoded"].bytes_list.value[0] == image


def test_the_first_request_of_a_client_is_quick(logged, version):
    server = Server(str(version))

    def seconds(request) -> float:
        start = time.monotonic()
        server.answer(
            request.model_spec.signature_name, {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
        )
        return time.monotonic() - start

    for request in logged:
        cold, warm = seconds(request), min(seconds(request) for _ in range(3))
        assert warm < cold / 3, request.model_spec.signature_name
