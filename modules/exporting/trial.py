"""Converts a classifier that nothing has trained, so that a run ends before it trains what cannot be converted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from config.classifier import ClassifierConfig
from config.export import LITERT, LITERT_INT8, ONNX, Format
from modules import classifier
from modules.exporting import litert, onnx_file, pixels_function
from modules.exporting.errors import ExportError
from modules.serving import signatures


def check(config: ClassifierConfig, classes: Sequence[str], formats: Sequence[Format]) -> None:
    """Refuses a classifier that cannot be converted; a few to 30 CPU seconds per format.

    Args:
      config: its sections `backbone` and `head`.
      classes: class names by index.
      formats: what Export will write.

    Raises:
      ExportError: if a format lacks an operation of the classifier.
    """
    built = classifier.build(config, classes)
    model = keras.Model(built.model.input, classifier.probabilities(built.model.output, config.head.output))
    name = f"backbone: {built.backbone.name} with head.kind {config.head.kind}"
    keras_function = _classify(model)
    for kind in formats:
        _convert(name, kind, keras_function, tuple(model.input.shape[1:]), str(config.backbone.preprocessing))
    keras.utils.clear_session()


def _classify(model: keras.Model) -> Callable[[Any], Mapping[str, Any]]:
    return lambda image: {signatures.PROBABILITIES: model(image, training=False)}


def _convert(
    name: str, kind: Format, classify: Callable[[Any], Mapping[str, Any]], shape: tuple[int, ...], preprocessing: str
) -> None:
    constants = pixels_function.of(classify, shape, preprocessing, None if kind == ONNX else 1)
    pixels = np.random.default_rng(0).integers(0, 256, (1, *shape), np.uint8)
    conversions: dict[Format, Callable[[], bytes]] = {
        LITERT: lambda: litert.converted(constants),
        LITERT_INT8: lambda: litert.quantized(constants, pixels),
        ONNX: lambda: onnx_file.converted(constants, ""),
    }
    try:
        conversions[kind]()
    except ExportError as error:
        raise ExportError(f"{name}: {error}") from error
