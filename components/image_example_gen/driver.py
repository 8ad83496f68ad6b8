"""Makes the state of the data part of ImageExampleGen's cache key."""

from __future__ import annotations

from tfx.orchestration.portable import data_types

from components import state_driver
from components.image_example_gen import sources
from config.data import IngestionConfig


class Driver(state_driver.StateDriver):
    """Prevents a cached result from being used after images have changed."""

    def state(self, execution_info: data_types.ExecutionInfo) -> str:
        properties = execution_info.exec_properties
        return sources.open_source(properties["data_path"], IngestionConfig.parse(properties["ingestion"])).state()
