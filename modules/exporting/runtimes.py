"""Runs an export in its own runtime. It imports nothing of this project, so that it also runs as a script.

    python -I runtimes.py MODEL OUTPUT < PIXELS

PIXELS are images one after the other, float32 [height, width, 3], RGB in [0, 255]. OUTPUT becomes an .npz file with
`probabilities`, float32 [images, classes], and `p50_ms`, the median time of one image in one thread.
"""

import statistics
import sys
import time
import zipfile

import numpy as np

_TIMED = 60  # answers, as many as ServingCheck takes
_WARM_UP = 5
_DIFFERENT = 16  # images among them
_DESCRIPTION_IN_TFLITE, _DESCRIPTION_IN_ONNX = "regraft.json", "regraft"


class LiteRT:
    """A .tflite file: one image, one input and one output.

    Attributes:
      shape: height, width and channels of an image.
    """

    def __init__(self, path, threads=1):
        import tensorflow as tf

        self._interpreter = tf.lite.Interpreter(model_path=str(path), num_threads=threads)
        self._interpreter.allocate_tensors()
        (self._input,), (self._output,) = (
            self._interpreter.get_input_details(),
            self._interpreter.get_output_details(),
        )
        self.shape = tuple(int(size) for size in self._input["shape"][1:])

    def __call__(self, pixels):
        """Probabilities, float32 [classes], of float32 [height, width, 3], RGB in [0, 255]."""
        if self._input["dtype"] == np.uint8:
            pixels = np.clip(np.rint(pixels), 0, 255)
        self._interpreter.set_tensor(self._input["index"], pixels[np.newaxis].astype(self._input["dtype"]))
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._output["index"])[0]


class Onnx:
    """An .onnx file; see `LiteRT`."""

    def __init__(self, path, threads=1):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        (found,) = self._session.get_inputs()
        self._name, self.shape = found.name, tuple(found.shape[1:])

    def __call__(self, pixels):
        (answer,) = self._session.run(None, {self._name: pixels[np.newaxis].astype(np.float32)})
        return answer[0]

    def description(self):
        return self._session.get_modelmeta().custom_metadata_map[_DESCRIPTION_IN_ONNX]


def opened(path, threads=1):
    """The model in a file, by the end of the file's name."""
    return Onnx(path, threads) if str(path).endswith(".onnx") else LiteRT(path, threads)


def description(path):
    """The text that description.Description.dumps put into a file.

    Raises:
      KeyError: if there is none.
      zipfile.BadZipFile: if a .tflite file has no associated files.
    """
    if str(path).endswith(".onnx"):
        return Onnx(path).description()
    with zipfile.ZipFile(path) as archive:
        return archive.read(_DESCRIPTION_IN_TFLITE).decode("utf-8")


def p50_ms(model, images):
    """The median time of one answer in milliseconds, after some that are not timed; NaN without images."""
    if not images:
        return float("nan")
    seconds = []
    for number in range(_WARM_UP + _TIMED):
        start = time.perf_counter()
        model(images[number % len(images)])
        seconds.append(time.perf_counter() - start)
    return 1000 * statistics.median(seconds[_WARM_UP:])


def main(path, output):
    """Answers what comes from the standard input."""
    model = opened(path)
    size = 4 * int(np.prod(model.shape))
    answers: list[np.ndarray] = []
    kept: list[np.ndarray] = []
    while content := sys.stdin.buffer.read(size):
        if len(content) != size:
            raise ValueError(f"the last image has {len(content)} bytes, and not {size}")
        pixels = np.frombuffer(content, np.float32).reshape(model.shape)
        if len(kept) < _DIFFERENT:
            kept.append(pixels)
        answers.append(model(pixels))
    np.savez(output, probabilities=np.array(answers, np.float32), p50_ms=p50_ms(model, kept))


if __name__ == "__main__":
    main(*sys.argv[1:])
