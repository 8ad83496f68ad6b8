"""ExampleValidator: the facts about the images against the schema; an anomaly stops the run."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts, standard_component_specs

from components import package
from components.example_validator import executor


class ExampleValidatorSpec(component_spec.ComponentSpec):
    """TFX's ExampleValidator, with the package's version in the cache key."""

    PARAMETERS = {
        **standard_component_specs.ExampleValidatorSpec.PARAMETERS,
        package.PARAMETER: component_spec.ExecutionParameter(type=str),
    }
    INPUTS = standard_component_specs.ExampleValidatorSpec.INPUTS
    OUTPUTS = standard_component_specs.ExampleValidatorSpec.OUTPUTS


class ExampleValidator(base_component.BaseComponent):
    """Validates every split.

    Outputs:
      anomalies: none, if the stage succeeds.
    """

    SPEC_CLASS = ExampleValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(self, statistics: types.BaseChannel, schema: types.BaseChannel):
        """Declares the stage.

        Args:
          statistics: of the facts, as StatisticsGen gives them.
          schema: what they must fit.
        """
        super().__init__(
            ExampleValidatorSpec(
                statistics=statistics,
                schema=schema,
                package_version=package.VERSION,
                anomalies=channel.Channel(type=standard_artifacts.ExampleAnomalies),
            )
        )
