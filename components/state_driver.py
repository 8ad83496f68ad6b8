"""A driver that makes the state of something outside the pipeline part of a stage's cache key.

TFX runs a component's driver before it looks in the cache, and the properties that the driver adds are part of the
cache key. Without them, the cache would answer for a stage that reads a folder although the folder has changed.
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
        # TFX's compiler requires the older driver class, its launcher calls the portable one.
        portable_base_driver.BaseDriver.__init__(self, metadata_handle)

    @abc.abstractmethod
    def state(self, execution_info: data_types.ExecutionInfo) -> str:
        """Describes what the stage will read. States that lead to different results have different descriptions."""

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        output = driver_output_pb2.DriverOutput()
        output.exec_properties[STATE].string_value = self.state(execution_info)
        return output
