"""Writes the candidate in formats for devices."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow_transform as tft
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components.export import calibration
from config.backbone import ImageInput
from config.data import TRAIN
from config.export import LITERT, LITERT_INT8, ONNX, ExportConfig, Format
from modules.data import transform_graph
from modules.exporting import export_files, litert, onnx_file, packages, pixels_function
from modules.exporting.description import Description
from modules.files import atomic_write

_log = logging.getLogger("regraft.export")


class Executor(base_executor.BaseExecutor):
    """Executor of Export."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes one file per format, `labels.txt` and `exports.json`.

        Args:
          input_dict: `model`, the candidate; `examples` and `transform_graph`, for calibration images.
          output_dict: `exports`; see modules/exporting/export_files.py.
          exec_properties: `config`, `image_input`, `max_pixels`; see the component.

        Raises:
          ExportError: if the model cannot be converted to a format, or a format's packages are not installed.
        """
        config = ExportConfig.parse(exec_properties["config"])
        packages.raise_if_missing(config.formats)
        image_input = ImageInput.parse(exec_properties["image_input"])
        graph = tft.TFTransformOutput(artifact_utils.get_single_uri(input_dict["transform_graph"]))
        classes = transform_graph.class_names(graph)
        description = Description.of(image_input, exec_properties["max_pixels"], classes)
        saved_model = path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict["model"]))
        constants = functools.cache(
            functools.partial(pixels_function.frozen, saved_model, str(image_input.preprocessing))
        )
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        pixels = functools.partial(calibration.pixels, examples, TRAIN, graph, config.calibration_images)
        write: dict[Format, Callable[[], bytes]] = {
            LITERT: lambda: _described(litert.converted(constants(1)), description),
            LITERT_INT8: lambda: _described(litert.quantized(constants(1), pixels()), description),
            ONNX: lambda: onnx_file.converted(constants(None), description.dumps()),
        }
        folder = artifact_utils.get_single_uri(output_dict["exports"])
        for name in config.formats:
            start = time.monotonic()
            content = write[name]()
            atomic_write(Path(folder, export_files.FILES[name]), content)
            _log.info("  %s: %.1f MB, converted in %.0f s", name, len(content) / 1e6, time.monotonic() - start)
        export_files.write_index(folder, config.formats, description.as_json())


def _described(content: bytes, description: Description) -> bytes:
    return litert.described(content, description.dumps(), list(description.classes))
