"""Asks an export about images: for `regraft predict` with a .tflite or .onnx file instead of a SavedModel."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from config.errors import BadInputError, one_line
from config.export import ONNX
from modules.exporting import packages, runtimes
from modules.exporting.description import Description
from pipeline import console

SUFFIXES = (".tflite", ".onnx")


class ExportedModel:
    """A file that Export wrote; it has the class names, and how images are resized, inside."""

    def __init__(self, path: Path):
        """Opens it.

        Raises:
          BadInputError: if it cannot be opened, Regraft did not write it, or packages are not installed.
        """
        if path.suffix == ".onnx":
            packages.raise_if_missing([ONNX])
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with console.redirected(Path(os.devnull)):  # TensorFlow logs a lot at its start
            import tensorflow as tf

            self._tf = tf
            try:
                self._description = Description.loads(runtimes.description(path))
                self._pixels = self._reader()
                self._run = runtimes.opened(path)
            except Exception as error:  # each runtime has its own
                raise BadInputError(
                    f"{path}: not a model that Regraft has exported ({one_line(error)}); name a version's folder, or a "
                    "file of its folder assets.extra/exports"
                ) from None

    def predict(self, encoded: bytes) -> tuple[list[str], np.ndarray]:
        """Class names by index, and their probabilities, float32 [classes], for an encoded image.

        Raises:
          tf.errors.InvalidArgumentError: if the image cannot be decoded.
        """
        pixels = self._pixels(self._tf.constant([encoded]))[0].numpy()
        return list(self._description.classes), self._run(pixels)

    def _reader(self) -> Any:
        """Decodes, turns and resizes as the pipeline does: string [batch] to float32 [batch, height, width, 3]."""
        from modules.data import decoding

        def read(encoded: Any) -> Any:
            found = self._description
            return decoding.decode_and_resize(
                encoded, found.image_size, found.aspect, found.interpolation, found.max_pixels
            )

        # As one graph, so that an error has the message that a SavedModel's has.
        return self._tf.function(read, input_signature=[self._tf.TensorSpec([None], self._tf.string)], autograph=False)
