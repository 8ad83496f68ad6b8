"""The state of the push directory, as far as BaselineModel depends on it."""

from __future__ import annotations

from tfx.orchestration.portable import data_types
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components import serving_directory, state_driver


class Driver(state_driver.StateDriver):
    """The version that is the baseline, and the fingerprint of its model."""

    def state(self, execution_info: data_types.ExecutionInfo) -> str:
        directory = serving_directory.ServingDirectory(execution_info.exec_properties["directory"])
        candidate = path_utils.serving_model_path(artifact_utils.get_single_uri(execution_info.input_dict["model"]))
        version = directory.baseline(serving_directory.model_fingerprint(candidate))
        if version is None:
            return "none"
        return f"{version} {serving_directory.model_fingerprint(directory.folder(version))}"
