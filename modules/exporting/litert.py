"""Writes LiteRT models (.tflite), in float32 or in 8-bit integers, with TensorFlow's own converter.

The quantization after training is that of Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", https://arxiv.org/abs/1712.05877.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from modules.exporting.errors import ExportError, reason

DESCRIPTION = "regraft.json"
_LABELS = "labels.txt"
_PIXEL_SCALE = (1.0, 0)  # of the input of an 8-bit model: a pixel's value is its number
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time of a ZIP archive: the same model gives the same bytes


def converted(constants: Any) -> bytes:
    """A model in float32: float32 [1, height, width, 3] to float32 [1, classes].

    Args:
      constants: as pixels_function.frozen makes it, for one image.

    Raises:
      ExportError: if LiteRT lacks an operation of the model.
    """
    return _convert("litert", tf.lite.TFLiteConverter.from_concrete_functions([constants]))


def quantized(constants: Any, pixels: np.ndarray) -> bytes:
    """A model in 8-bit integers: uint8 [1, height, width, 3] to float32 [1, classes].

    Args:
      constants: as pixels_function.frozen makes it, for one image.
      pixels: training images from which the range of each layer's values is taken, uint8 [images, height, width, 3].

    Raises:
      ExportError: if LiteRT lacks an operation of the model in integers.
    """
    converter = tf.lite.TFLiteConverter.from_concrete_functions([constants])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: _calibration(pixels)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.uint8
    content = _convert("litert-int8", converter)
    _check_input(content)
    return content


def _calibration(pixels: np.ndarray) -> Iterator[list[np.ndarray]]:
    """One image after the other. The first gets a black and a white value, so that the input's range is [0, 255]."""
    for number, image in enumerate(pixels):
        values = image[np.newaxis].astype(np.float32)
        if number == 0:
            values[0, 0, 0, :2] = 0.0, 255.0
        yield [values]


def _convert(name: str, converter: Any) -> bytes:
    try:
        content: bytes = converter.convert()
    except Exception as error:  # the converter raises what its passes raise
        raise ExportError(
            f"export.formats: {name}: the model cannot be converted ({reason(error)}); leave this format out, or "
            "take another backbone or head"
        ) from error
    return content


def _check_input(content: bytes) -> None:
    (found,) = tf.lite.Interpreter(model_content=content).get_input_details()
    scale, zero = found["quantization"]
    if found["dtype"] is not np.uint8 or not np.isclose(scale, _PIXEL_SCALE[0], rtol=1e-6) or zero != _PIXEL_SCALE[1]:
        raise ExportError(
            f"export.formats: litert-int8: the input has the scale {scale:g} and the zero point {zero}, so that pixels "
            "would need a conversion; leave this format out"
        )


def described(content: bytes, description: str, classes: list[str]) -> bytes:
    """The model with its description and its labels inside, as LiteRT keeps associated files: a ZIP archive at its end.

    Source: https://ai.google.dev/edge/litert/conversion/tensorflow/metadata. LiteRT reads the model as before.

    Args:
      content: a model.
      description: as description.Description.dumps gives it.
      classes: class names by index.
    """
    file = io.BytesIO(content)
    with zipfile.ZipFile(file, "a") as archive:
        for name, text in ((DESCRIPTION, description), (_LABELS, "\n".join(classes) + "\n")):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), text)
    return file.getvalue()
