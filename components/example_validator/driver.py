"""The state of production's data."""

from __future__ import annotations

from tfx.orchestration.portable import data_types
from tfx.types import artifact_utils

from components import serving_directory, state_driver
from components.example_validator import executor
from modules.fingerprints import fingerprint


class Driver(state_driver.StateDriver):
    """What the data is compared with; nothing, if production was trained on this very data."""

    def state(self, execution_info: data_types.ExecutionInfo) -> str:
        directory = serving_directory.ServingDirectory(execution_info.exec_properties["directory"])
        statistics = artifact_utils.get_single_instance(execution_info.input_dict["statistics"])
        kept = directory.data_of_current()
        if kept is None or fingerprint(kept.statistics) == fingerprint(executor.statistics_path(statistics, "train")):
            return "nothing to compare with"
        return f"{fingerprint(kept.statistics)} {fingerprint(kept.schema)}"
