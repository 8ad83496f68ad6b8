"""ExampleValidator: compares the facts about the images with the schema, and with the data of the production model."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration import data_types
from tfx.types import channel, component_spec, standard_artifacts, standard_component_specs

from components import code_digest, state_driver
from components.example_validator import driver, executor
from config.data import DriftConfig


class ExampleValidatorSpec(component_spec.ComponentSpec):
    """TFX's ExampleValidator, with parameters for the comparison with production's data."""

    PARAMETERS = {
        **standard_component_specs.ExampleValidatorSpec.PARAMETERS,
        "directory": component_spec.ExecutionParameter(type=str),
        "drift": component_spec.ExecutionParameter(type=str),
        state_driver.STATE: component_spec.ExecutionParameter(type=str, optional=True),
        code_digest.PARAMETER: component_spec.ExecutionParameter(type=str),
    }
    INPUTS = standard_component_specs.ExampleValidatorSpec.INPUTS
    OUTPUTS = standard_component_specs.ExampleValidatorSpec.OUTPUTS


class ExampleValidator(base_component.BaseComponent):
    """Validates every split against the schema, and compares the training split with production's.

    Outputs:
      anomalies: empty, since the stage fails if there are any; `drift.json` in its folder has what changed, see
        components/example_validator/drift.py.
    """

    SPEC_CLASS = ExampleValidatorSpec
    DRIVER_CLASS = driver.Driver
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        statistics: types.BaseChannel,
        schema: types.BaseChannel,
        directory: str | data_types.RuntimeParameter,
        drift: DriftConfig,
    ):
        """Declares the stage.

        Args:
          statistics: of the facts about the images, as StatisticsGen computes them.
          schema: the schema that they must match.
          directory: the push directory, where each version has the statistics of its training data.
          drift: bounds on what may have changed.
        """
        super().__init__(
            ExampleValidatorSpec(
                statistics=statistics,
                schema=schema,
                directory=directory,
                drift=drift.serialized(),
                code_digest=code_digest.of(executor.__name__, driver.__name__),
                anomalies=channel.Channel(type=standard_artifacts.ExampleAnomalies),
            )
        )
