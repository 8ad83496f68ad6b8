"""The state of the data folder."""

from __future__ import annotations

from tfx.orchestration.portable import data_types

from components import state_driver
from components.image_example_gen import listing


class Driver(state_driver.StateDriver):
    """A folder that changed is never answered from the cache."""

    def state(self, execution_info: data_types.ExecutionInfo) -> str:
        root = execution_info.exec_properties["data_path"]
        return listing.fingerprint(root, listing.list_files(root))
