"""A driver that puts the state of something outside the pipeline into a stage's cache key.

TFX runs a component's driver before it asks the cache; what the driver adds to the execution properties is hashed with
them. Without that, a stage that reads a folder would be answered from the cache though the folder has changed.
"""

from __future__ import annotations

import abc

from tfx.dsl.components.base import base_driver
from tfx.orchestration.portable import base_driver as portable_base_driver
from tfx.orchestration.portable import data_types
from tfx.proto.orchestration import driver_output_pb2

STATE = "outside_state"  # the execution property's name


class StateDriver(base_driver.BaseDriver, portable_base_driver.BaseDriver, abc.ABC):
    """Sets the execution property `outside_state`."""

    def __init__(self, metadata_handle: object):
        # TFX's compiler asks for the older driver class, its launcher calls the portable one.
        portable_base_driver.BaseDriver.__init__(self, metadata_handle)

    @abc.abstractmethod
    def state(self, execution_info: data_types.ExecutionInfo) -> str:
        """Describes what the stage will read, so that two states that give two results have two descriptions."""

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        output = driver_output_pb2.DriverOutput()
        output.exec_properties[STATE].string_value = self.state(execution_info)
        return output
