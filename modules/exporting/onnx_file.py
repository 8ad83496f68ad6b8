"""Writes ONNX models, with tf2onnx."""

from __future__ import annotations

from typing import Any

from config.export import ONNX
from modules.exporting import packages
from modules.exporting.errors import ExportError, reason
from modules.exporting.pixels_function import PIXELS

_OPSET = 17  # of 2022: all that these models need, and every runtime of the last years reads it
PROBABILITIES = "probabilities"  # the output's name
DESCRIPTION = "regraft"  # the key of the description among the file's metadata


def converted(constants: Any, description: str) -> bytes:
    """A model in float32: `pixels`, float32 [batch, height, width, 3], to `probabilities`, float32 [batch, classes].

    Args:
      constants: as pixels_function.frozen makes it, for any number of images.
      description: as description.Description.dumps gives it; kept in the file's metadata.

    Raises:
      ExportError: if ONNX lacks an operation of the model, or its packages are not installed.
    """
    packages.raise_if_missing([ONNX])
    import onnx
    import tf2onnx

    (output,) = constants.outputs
    try:
        model, _ = tf2onnx.convert.from_graph_def(
            constants.graph.as_graph_def(),
            input_names=[f"{PIXELS}:0"],
            output_names=[output.name],
            opset=_OPSET,
            tensors_to_rename={f"{PIXELS}:0": PIXELS, output.name: PROBABILITIES},
        )
        onnx.helper.set_model_props(model, {DESCRIPTION: description})
        onnx.checker.check_model(model)  # tf2onnx leaves operations that it does not know as they are
        content: bytes = model.SerializeToString(deterministic=True)
    except Exception as error:  # tf2onnx raises what its rewriters raise
        raise ExportError(
            f"export.formats: onnx: the model cannot be converted ({reason(error)}); leave this format out, or "
            "take another backbone or head"
        ) from error
    return content
