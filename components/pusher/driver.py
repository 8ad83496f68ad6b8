"""The state of the push directory, as far as Pusher depends on it."""

from __future__ import annotations

from tfx.orchestration.portable import data_types
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components import serving_directory, state_driver
from components.pusher import exports


class Driver(state_driver.StateDriver):
    """The folder's identity, the version that the candidate is or would become, and whether it was rolled back.

    A push does not change this state, so a second run is answered from the cache. Deleting the folder or the version
    does change it, so the cache never answers for a push that has to be repeated.
    """

    def state(self, execution_info: data_types.ExecutionInfo) -> str:
        directory = serving_directory.ServingDirectory(execution_info.exec_properties["directory"])
        candidate = path_utils.serving_model_path(artifact_utils.get_single_uri(execution_info.input_dict["model"]))
        fingerprint = serving_directory.model_fingerprint(candidate)
        current = directory.current_version_of(fingerprint)
        version = exports.if_complete(directory, current, execution_info.input_dict) or directory.next_version()
        return f"{directory.identity()} {version} rolled back: {directory.rolled_back_version_of(fingerprint)}"
