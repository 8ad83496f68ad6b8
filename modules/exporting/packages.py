"""The packages that a format needs beside TensorFlow. This file loads none of them."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from config.export import ONNX, Format
from modules.exporting.errors import ExportError

_OF_ONNX = ("onnx", "onnxruntime", "tf2onnx")


def raise_if_missing(formats: Sequence[Format]) -> None:
    """Raises ExportError if onnx is among the formats and its packages are not installed."""
    missing = [name for name in _OF_ONNX if importlib.util.find_spec(name) is None] if ONNX in formats else []
    if missing:
        raise ExportError(
            f"export.formats: onnx needs {' and '.join(missing)}, which is not installed; pip install regraft[onnx], "
            "or leave this format out"
        )
