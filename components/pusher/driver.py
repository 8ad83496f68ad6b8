"""The state of the push destination."""

from __future__ import annotations

from tfx.orchestration.portable import data_types
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components import serving_directory, state_driver


class Driver(state_driver.StateDriver):
    """Which folder this is, and the version that the candidate has there or would get.

    The same after a push as before it, so that a second run is answered from the cache; another one once the folder or
    the version has been deleted, so that a push that is still to be done never is.
    """

    def state(self, execution_info: data_types.ExecutionInfo) -> str:
        directory = serving_directory.ServingDirectory(execution_info.exec_properties["directory"])
        candidate = path_utils.serving_model_path(artifact_utils.get_single_uri(execution_info.input_dict["model"]))
        version = directory.standing(serving_directory.model_fingerprint(candidate)) or directory.next_version()
        return f"{directory.identity()} {version}"
