"""Requests with which TF Serving warms a model up before it says that the model is available.

The first request of each signature takes long, because TensorFlow then prepares the part of the graph that it needs.
TF Serving sends the requests in WARM_UP_FILE itself (https://www.tensorflow.org/tfx/serving/saved_model_warmup): a
TFRecord file of PredictionLog. If one fails, TF Serving does not serve the model.

The image is one of eval, since decoder and backbone shall do what they do later. It becomes a part of the model, which
goes to other machines and people than the data; so it has the size that the model works on, and no metadata such as a
place. `push.warm_up: false` keeps the file out of pushed versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from modules.data import features, tf_example
from modules.serving import WARM_UP_FILE, signatures

_JPEG_QUALITY = 90


def requests(pixels: np.ndarray, label: str) -> dict[str, dict[str, bytes]]:
    """A request for each signature of modules/serving/signatures.py but `explain`.

    Few ask for heat maps, and TensorFlow takes seconds to prepare their graph, for which every new version would wait.

    Args:
      pixels: of an image, float32 [height, width, 3], RGB in [0, 255].
      label: name of a class.

    Returns:
      signature to input to the only element of its batch.
    """
    encoded = tf.io.encode_jpeg(tf.saturate_cast(tf.round(pixels), tf.uint8), quality=_JPEG_QUALITY).numpy()
    serialized = tf_example.serialize({features.ENCODED: encoded, features.LABEL: label.encode("utf-8")})
    return {
        signatures.SERVING_DEFAULT: {signatures.EXAMPLES: serialized},
        signatures.SERVE_IMAGES: {signatures.IMAGES: encoded},
        signatures.CLASS_NAMES: {signatures.UNUSED: b""},
        signatures.TRUE_LABELS: {signatures.EXAMPLES: serialized},
    }


def write(model: str | Path, content: Mapping[str, Mapping[str, bytes]]) -> None:
    """Writes the file into a SavedModel.

    Args:
      model: folder of the SavedModel.
      content: signature to input to the only element of its batch; a server that batches requests pads it.
    """
    path = Path(model, WARM_UP_FILE)
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in content.items():
            request = predict_pb2.PredictRequest()
            request.model_spec.signature_name = signature
            for name, value in inputs.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto([value], tf.string))
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString(deterministic=True))
