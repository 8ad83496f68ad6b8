"""BaselineModel: the model in production, with which the candidate is compared."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration import data_types
from tfx.types import channel, component_spec, standard_artifacts

from components import code_digest, state_driver
from components.baseline_model import driver, executor


class BaselineModelSpec(component_spec.ComponentSpec):
    """Inputs, outputs and parameters of BaselineModel."""

    PARAMETERS = {
        "directory": component_spec.ExecutionParameter(type=str),
        state_driver.STATE: component_spec.ExecutionParameter(type=str, optional=True),
        code_digest.PARAMETER: component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {"model": component_spec.ChannelParameter(type=standard_artifacts.Model)}
    OUTPUTS = {"baseline_model": component_spec.ChannelParameter(type=standard_artifacts.Model)}


class BaselineModel(base_component.BaseComponent):
    """Copies the model in production out of the push directory.

    A pipeline of TFX would use a Resolver with LatestBlessedModelStrategy instead. But Kubeflow Pipelines has no
    resolvers in its open-source form, and the latest blessed model is not always the one that is served.

    Outputs:
      baseline_model: a copy of the newest version that is not the candidate itself and was not rolled back; marked as
        absent (see baseline_model/properties.py) if there is none.
    """

    SPEC_CLASS = BaselineModelSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)
    DRIVER_CLASS = driver.Driver

    def __init__(self, model: types.BaseChannel, directory: str | data_types.RuntimeParameter):
        """Declares the stage.

        Args:
          model: the candidate.
          directory: the push directory.
        """
        super().__init__(
            BaselineModelSpec(
                model=model,
                directory=directory,
                code_digest=code_digest.of(executor.__name__, driver.__name__),
                baseline_model=channel.Channel(type=standard_artifacts.Model),
            )
        )
