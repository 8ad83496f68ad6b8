"""What runs a trunk: TensorFlow, or OpenVINO, which takes less time on CPUs.

OpenVINO reads the graph of constants that TensorFlow would run, and computes in float32.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from config.errors import BadInputError, one_line
from modules import trunk

AUTO, TENSORFLOW, OPENVINO = "auto", "tensorflow", "openvino"

TOLERANCE = 1e-4
"""Largest difference to TensorFlow's result, as a share of the largest activation.

Rounding in float32 causes differences of 1e-6 to 3e-6 (EfficientNet-Lite0, MobileNetV2, ResNet50). float16, in which
activations are kept, rounds each by up to 5e-4 of itself. Kernels of lower precision (bfloat16, TF32) differ by 1e-3
and more.
"""

_NOT_INSTALLED = "openvino is not installed (pip install openvino)"

Run = Callable[[tf.Tensor], tf.Tensor]


class TrunkRuntimeError(BadInputError):
    """The trunk cannot run as the configuration asks."""


class _UnusableError(Exception):
    """OpenVINO cannot run this trunk here; the message says why."""


@dataclass(frozen=True)
class Runtime:
    """What runs a trunk.

    Attributes:
      name: `tensorflow` or `openvino`.
      reason: why it is not openvino; empty if it is, or tensorflow was asked for.
      run: images, float32 [batch, height, width, 3], to activations, float32 [batch, ...]; also inside a tf.function,
        and from several threads.
    """

    name: str
    reason: str
    run: Run

    @property
    def description(self) -> str:
        """The name, and why it is not openvino."""
        name = {TENSORFLOW: "TensorFlow", OPENVINO: "OpenVINO"}[self.name]
        return f"{name}: {self.reason}" if self.reason else name


def choose(asked: str, model: keras.Model, images: tf.Tensor) -> Runtime:
    """Chooses what runs a trunk.

    Args:
      asked: `trunk_features.runtime` of a configuration.
      model: the trunk; later changes of its weights have no effect.
      images: a batch that it takes, on which both runtimes are compared.

    Raises:
      TrunkRuntimeError: if openvino is asked for and cannot be used.
    """
    constant = trunk.constant_function(model)
    by_tensorflow: Run = trunk.folded(model) if constant is None else lambda x: constant(x)[0]
    if asked == TENSORFLOW:
        return Runtime(TENSORFLOW, "", by_tensorflow)
    try:
        if asked == AUTO and tf.config.list_physical_devices("GPU"):
            raise _UnusableError("a GPU is visible")
        by_openvino = _on_openvino(model, constant)
        _compare(by_openvino(images).numpy(), by_tensorflow(images).numpy())
    except _UnusableError as error:
        if asked == OPENVINO:
            raise _refusal(error) from error
        return Runtime(TENSORFLOW, str(error), by_tensorflow)
    return Runtime(OPENVINO, "", by_openvino)


def raise_if_missing(asked: str) -> None:
    """Raises TrunkRuntimeError if openvino is asked for and not installed."""
    if asked == OPENVINO and importlib.util.find_spec(OPENVINO) is None:
        raise _refusal(_NOT_INSTALLED)


def _refusal(reason: object) -> TrunkRuntimeError:
    return TrunkRuntimeError(f"trunk_features.runtime: {reason}; auto and tensorflow work")


def sample_pixels(size: tuple[int, int]) -> tf.Tensor:
    """Images to compare runtimes on: noise, a ramp, and grey; float32 [3, *size, 3], RGB in [0, 255]."""
    shape = (*size, 3)
    noise = np.random.default_rng(0).integers(0, 256, shape)
    ramp = np.broadcast_to(np.linspace(0, 255, size[1])[:, None], shape)
    return tf.constant(np.stack([noise, ramp, np.full(shape, 128)]), tf.float32)


def _compare(result: np.ndarray, expected: np.ndarray) -> None:
    largest, difference = float(np.abs(expected).max()), float(np.abs(result - expected).max())
    if not difference <= TOLERANCE * largest:
        raise _UnusableError(
            f"OpenVINO's results differ from TensorFlow's by {difference:.1e}, with activations of up to {largest:.1e}"
        )


def _on_openvino(model: keras.Model, constant: Any | None) -> Run:
    # With this package, openvino reports each of its imports to Google Analytics. Without, it does not.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise _UnusableError(_NOT_INSTALLED) from error
    if constant is None:
        raise _UnusableError("the trunk is too large for a graph of constants")
    try:
        compiled = _compiled(openvino, constant)
    except RuntimeError as error:  # all that OpenVINO raises
        raise _UnusableError(f"OpenVINO cannot run the trunk ({one_line(error)})") from error
    request, lock = compiled.create_infer_request(), threading.Lock()  # one request already uses all cores

    def infer(images: np.ndarray) -> np.ndarray:
        with lock:
            result: np.ndarray = request.infer([images], share_inputs=True)[0]
            return result.copy()

    def run(images: tf.Tensor) -> tf.Tensor:
        activations = tf.numpy_function(infer, [images], tf.float32, stateful=False)
        return tf.ensure_shape(activations, (images.shape[0], *model.output.shape[1:]))

    return run


def _compiled(openvino: Any, constant: Any) -> Any:
    """Reads a ConcreteFunction of constants; takes as many threads as TensorFlow may, by default one per core."""
    core = openvino.Core()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "trunk.pb")
        file.write_bytes(constant.graph.as_graph_def().SerializeToString())
        network = core.read_model(file)
    options = {
        "INFERENCE_PRECISION_HINT": "f32",  # new CPUs would take bfloat16
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": tf.config.threading.get_intra_op_parallelism_threads(),  # 0: all
    }
    return core.compile_model(network, "CPU", options)
