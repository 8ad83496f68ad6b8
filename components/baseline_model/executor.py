"""Copies the model that is in production."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components import serving_directory
from components.baseline_model import properties


class Executor(base_executor.BaseExecutor):
    """Executor of BaselineModel."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Copies the baseline's version into the artifact, or marks the artifact as absent.

        Args:
          input_dict: `model`, the candidate.
          output_dict: `baseline_model`.
          exec_properties: `directory`, the push directory.

        Raises:
          ServingError: if the files of the baseline's version are damaged, or TF Serving may serve something else.
        """
        directory = serving_directory.ServingDirectory(exec_properties["directory"])
        baseline = artifact_utils.get_single_instance(output_dict["baseline_model"])
        candidate = path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict["model"]))
        directory.check_names()
        version = directory.baseline(serving_directory.model_fingerprint(candidate))
        if version is None:
            baseline.set_int_custom_property(properties.ABSENT, 1)
            return
        directory.check_in_production(version)
        baseline.set_int_custom_property(properties.VERSION, version)
        target = Path(path_utils.serving_model_dir(baseline.uri))
        shutil.copytree(directory.folder(version), target, dirs_exist_ok=True)
