"""Pusher: a blessed candidate becomes the next version in the serving directory."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts

from components import package, state_driver
from components.pusher import driver, executor


class PusherSpec(component_spec.ComponentSpec):
    """Inputs, outputs and parameters of Pusher."""

    PARAMETERS = {
        "directory": component_spec.ExecutionParameter(type=str),
        state_driver.STATE: component_spec.ExecutionParameter(type=str, optional=True),
        package.PARAMETER: component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "model_blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
    }
    OUTPUTS = {"pushed_model": component_spec.ChannelParameter(type=standard_artifacts.PushedModel)}


class Pusher(base_component.BaseComponent):
    """Pushes a blessed model; see components/serving_directory.py for what is promised.

    Outputs:
      pushed_model: `pushed` 0 or 1; `pushed_destination` and `pushed_version` if pushed.
    """

    SPEC_CLASS = PusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)
    DRIVER_CLASS = driver.Driver

    def __init__(self, model: types.BaseChannel, model_blessing: types.BaseChannel, directory: str):
        """Declares the stage.

        Args:
          model: the candidate.
          model_blessing: the Evaluator's verdict.
          directory: the push destination, which a server may be watching.
        """
        super().__init__(
            PusherSpec(
                model=model,
                model_blessing=model_blessing,
                directory=directory,
                package_version=package.VERSION,
                pushed_model=channel.Channel(type=standard_artifacts.PushedModel),
            )
        )
