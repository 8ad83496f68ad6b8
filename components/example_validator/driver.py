"""The state of the push directory, as far as ExampleValidator depends on it."""

from __future__ import annotations

from tfx.orchestration.portable import data_types
from tfx.types import artifact_utils

from components import serving_directory, state_driver
from components.example_validator import statistics
from config.data import TRAIN
from modules.files import fingerprint


class Driver(state_driver.StateDriver):
    """The statistics that the data is compared with; none if production was trained on this very data."""

    def state(self, execution_info: data_types.ExecutionInfo) -> str:
        directory = serving_directory.ServingDirectory(execution_info.exec_properties["directory"])
        new = artifact_utils.get_single_instance(execution_info.input_dict["statistics"])
        production = directory.data_of_current()
        if production is None or fingerprint(production.statistics) == fingerprint(statistics.path(new, TRAIN)):
            return "nothing to compare with"
        return f"{fingerprint(production.statistics)} {fingerprint(production.schema)}"
