"""Serves a SavedModel in a process without this project's code, and writes its answers and its speed.

The executor runs this file as a script: `python -I probe.py MODEL REQUESTS OUTPUT BLOCKED…`. REQUESTS is the file of
modules/serving/reference_predictions.py. OUTPUT gets `answers` and `measured`. Packages named BLOCKED cannot be
imported.
"""

import base64
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


class Blocker(importlib.abc.MetaPathFinder):
    """Makes the import system act as if packages were not installed."""

    def __init__(self, names):
        self._names = names

    def find_spec(self, fullname, path=None, target=None):
        if fullname.partition(".")[0] in self._names:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return None


def _end_with(parent):
    """Ends this process when the one that started it is gone, even killed."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def main(model, requests, output, *blocked):
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    sys.meta_path.insert(0, Blocker(blocked))
    import tensorflow as tf

    with open(requests, encoding="utf-8") as file:
        content = json.load(file)
    examples = tf.constant([base64.b64decode(answer["example"]) for answer in content["answers"]])
    images = tf.constant([base64.b64decode(answer["image"]) for answer in content["answers"]])

    start = time.monotonic()
    loaded = tf.saved_model.load(model)
    signatures = {name: loaded.signatures[name] for name in ("serving_default", "serve_images")}
    load_seconds = time.monotonic() - start
    signatures["serve_images"](images=images[:1])
    first_seconds = time.monotonic() - start

    answers = {
        "serving_default": _plain(signatures["serving_default"](examples=examples)),
        "serve_images": _plain(signatures["serve_images"](images=images)),
        "one_image": _plain(signatures["serve_images"](images=images[:1])),
        "class_names": _plain(loaded.signatures["class_names"]())["class_names"],
        "true_labels": _plain(loaded.signatures["true_labels"](examples=examples))["label"],
    }
    measured = {
        "load_seconds": load_seconds,
        "first_answer_seconds": first_seconds,
        **_speed(signatures["serve_images"], images),
        "peak_gib": _peak_gib(),
    }
    with open(output, "w", encoding="utf-8") as file:
        json.dump({"answers": answers, "measured": measured}, file)


def _plain(outputs):
    """Turns tensors by name into lists by name; strings are decoded."""
    return {
        name: [value.decode("utf-8") for value in tensor.numpy().tolist()]
        if tensor.dtype.name == "string"
        else tensor.numpy().tolist()
        for name, tensor in outputs.items()
    }


def _peak_gib():
    """The peak memory of this process. The figure of getrusage would include that of the parent process."""
    with open("/proc/self/status", encoding="ascii") as file:
        kilobytes = next(line.split()[1] for line in file if line.startswith("VmHWM:"))
    return int(kilobytes) / 2**20


def _speed(serve, images):
    seconds = []
    for request in range(_WARM_UP + LATENCY_REQUESTS):
        index = request % len(images)
        start = time.monotonic()
        serve(images=images[index : index + 1])["label"].numpy()
        seconds.append(time.monotonic() - start)
    seconds = sorted(seconds[_WARM_UP:])
    batch = images[:_BATCH]
    serve(images=batch)
    start = time.monotonic()
    for _ in range(_BATCHES):
        serve(images=batch)["label"].numpy()
    return {
        "p50_ms": 1000 * seconds[len(seconds) // 2],
        "p99_ms": 1000 * seconds[min(len(seconds) - 1, int(0.99 * len(seconds)))],
        "images_per_second": _BATCHES * len(batch) / (time.monotonic() - start),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
