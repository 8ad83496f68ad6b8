"""The state of the data."""

from __future__ import annotations

from tfx.orchestration.portable import data_types

from components import state_driver
from components.image_example_gen import sources
from components.image_example_gen.settings import Settings


class Driver(state_driver.StateDriver):
    """Images that changed are never answered from the cache."""

    def state(self, execution_info: data_types.ExecutionInfo) -> str:
        settings = Settings.parse(execution_info.exec_properties["settings"])
        return sources.open_source(execution_info.exec_properties["data_path"], settings).state()
