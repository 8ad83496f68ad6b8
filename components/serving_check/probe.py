"""Serves a SavedModel in a process without this project's code, and writes its answers and its speed.

It does what TF Serving does: loads the model into a session, sends the warm-up requests, then answers requests with
session.run. The executor runs this file as a script: `python -I probe.py MODEL REQUESTS OUTPUT BLOCKED…`. REQUESTS is
the file of modules/serving/reference_predictions.py. OUTPUT gets `answers` to all of its images by signature, and to
`one_image`; `warmed_up`, the signatures that have a warm-up request; and `measured`. Packages named BLOCKED cannot be
imported.
"""

import base64
import gc
import importlib.abc
import json
import os
import sys
import threading
import time

LATENCY_REQUESTS = 60  # with one image each, after the warm-up requests
_WARM_UP = 5
_BATCH = 32
_BATCHES = 4
_WARM_UP_FILE = ("assets.extra", "tf_serving_warmup_requests")
_INTERNAL = "__saved_model_"  # prefix of signatures that are not for clients
# It draws heat maps, which production does not wait for. To prepare its graph would take seconds of every run.
_NOT_CHECKED = "explain"


class Blocker(importlib.abc.MetaPathFinder):
    """Makes the import system act as if packages were not installed."""

    def __init__(self, names):
        self._names = names

    def find_spec(self, fullname, path=None, target=None):
        if fullname.partition(".")[0] in self._names:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return None


class Server:
    """A SavedModel in a session."""

    def __init__(self, model):
        import tensorflow as tf

        self._session = tf.compat.v1.Session(graph=tf.Graph())
        with self._session.graph.as_default():
            meta_graph = tf.compat.v1.saved_model.load(self._session, [tf.saved_model.SERVING], model)
        self.signatures = {
            name: signature for name, signature in meta_graph.signature_def.items() if not name.startswith(_INTERNAL)
        }

    def answer(self, name, inputs):
        """Outputs by name, as arrays."""
        signature = self.signatures[name]
        if unknown := inputs.keys() - signature.inputs.keys():
            raise KeyError(f"the signature {name} has no input {', '.join(unknown)}")
        fetches = {output: info.name for output, info in signature.outputs.items()}
        return self._session.run(fetches, {signature.inputs[key].name: value for key, value in inputs.items()})


def _end_with(parent):
    """Ends this process when the one that started it is gone, even killed."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def main(model, requests, output, *blocked):
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    sys.meta_path.insert(0, Blocker(blocked))
    gc.disable()
    import tensorflow  # noqa: F401 - its import is no part of the time that is measured

    gc.freeze()  # the collector never visits what the import has made, see config/garbage_collection.py
    gc.enable()

    with open(requests, encoding="utf-8") as file:
        content = json.load(file)
    batch = {
        "examples": [base64.b64decode(answer["example"]) for answer in content["answers"]],
        "images": [base64.b64decode(answer["image"]) for answer in content["answers"]],
        "unused": [b""] * len(content["answers"]),
    }
    warm_up = _warm_up_requests(model)

    start = time.monotonic()
    server = Server(model)
    loaded = time.monotonic()
    for signature, inputs in warm_up:
        server.answer(signature, inputs)
    ready = time.monotonic()
    one_image = server.answer("serve_images", {"images": batch["images"][:1]})
    answered = time.monotonic()

    answers = {
        name: _plain(server.answer(name, {key: batch[key] for key in signature.inputs}))
        for name, signature in server.signatures.items()
        if name != _NOT_CHECKED
    }
    answers["one_image"] = _plain(one_image)
    measured = {
        "load_seconds": ready - start,
        "warm_up_seconds": ready - loaded,
        "first_answer_seconds": answered - start,
        **_speed(server, batch["images"]),
        "peak_gib": _peak_gib(),
        "model_mib": _model_mib(model),
    }
    warmed_up = sorted({signature for signature, _ in warm_up})
    with open(output, "w", encoding="utf-8") as file:
        json.dump({"answers": answers, "warmed_up": warmed_up, "measured": measured}, file)


def _warm_up_requests(model):
    """Signature and inputs of each request that is kept with the model."""
    path = os.path.join(model, *_WARM_UP_FILE)
    if not os.path.exists(path):
        return []
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    found = []
    for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        found.append((request.model_spec.signature_name, inputs))
    return found


def _plain(outputs):
    """Turns arrays by name into lists by name; strings are decoded."""
    return {name: _decoded(array.tolist()) for name, array in outputs.items()}


def _decoded(value):
    if isinstance(value, list):
        return [_decoded(element) for element in value]
    return value.decode("utf-8") if isinstance(value, bytes) else value


def _peak_gib():
    """The peak memory of this process. The figure of getrusage would include that of the parent process."""
    with open("/proc/self/status", encoding="ascii") as file:
        kilobytes = next(line.split()[1] for line in file if line.startswith("VmHWM:"))
    return int(kilobytes) / 2**20


def _model_mib(model):
    """The size of all files of a SavedModel."""
    files = (os.path.join(folder, name) for folder, _, names in os.walk(model) for name in names)
    return sum(map(os.path.getsize, files)) / 2**20


def _speed(server, images):
    seconds = []
    for request in range(_WARM_UP + LATENCY_REQUESTS):
        index = request % len(images)
        start = time.monotonic()
        server.answer("serve_images", {"images": images[index : index + 1]})
        seconds.append(time.monotonic() - start)
    seconds = sorted(seconds[_WARM_UP:])
    batch = images[:_BATCH]
    server.answer("serve_images", {"images": batch})
    start = time.monotonic()
    for _ in range(_BATCHES):
        server.answer("serve_images", {"images": batch})
    return {
        "p50_ms": 1000 * seconds[len(seconds) // 2],
        "p99_ms": 1000 * seconds[min(len(seconds) - 1, int(0.99 * len(seconds)))],
        "images_per_second": _BATCHES * len(batch) / (time.monotonic() - start),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
