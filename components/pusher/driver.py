"""The state of the push destination."""

from __future__ import annotations

from tfx.orchestration.portable import data_types
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components import serving_directory, state_driver


class Driver(state_driver.StateDriver):
    """Which folder this is, the version that the candidate has there or would get, and whether it was rolled back.

    The same after a push as before it, so that a second run is answered from the cache; another one once the folder or
    the version has been deleted, so that a push that is still to be done never is.
    """

    def state(self, execution_info: data_types.ExecutionInfo) -> str:
        directory = serving_directory.ServingDirectory(execution_info.exec_properties["directory"])
        candidate = path_utils.serving_model_path(artifact_utils.get_single_uri(execution_info.input_dict["model"]))
        fingerprint = serving_directory.model_fingerprint(candidate)
        version = directory.standing(fingerprint) or directory.next_version()
        return f"{directory.identity()} {version} withdrawn: {directory.withdrawn(fingerprint)}"
