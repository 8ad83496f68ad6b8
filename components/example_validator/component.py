"""ExampleValidator: the facts about the images against the schema, and against those of production's data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration import data_types
from tfx.types import channel, component_spec, standard_artifacts, standard_component_specs

from components import package, state_driver
from components.example_validator import driver, executor


class ExampleValidatorSpec(component_spec.ComponentSpec):
    """TFX's ExampleValidator, with what it compares the data with."""

    PARAMETERS = {
        **standard_component_specs.ExampleValidatorSpec.PARAMETERS,
        "directory": component_spec.ExecutionParameter(type=str),
        "drift": component_spec.ExecutionParameter(type=str),
        state_driver.STATE: component_spec.ExecutionParameter(type=str, optional=True),
        package.PARAMETER: component_spec.ExecutionParameter(type=str),
    }
    INPUTS = standard_component_specs.ExampleValidatorSpec.INPUTS
    OUTPUTS = standard_component_specs.ExampleValidatorSpec.OUTPUTS


class ExampleValidator(base_component.BaseComponent):
    """Validates every split against the schema, and the training split against production's.

    Outputs:
      anomalies: none, if the stage succeeds; beside them `drift.json`, see components/example_validator/drift.py.
    """

    SPEC_CLASS = ExampleValidatorSpec
    DRIVER_CLASS = driver.Driver
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        statistics: types.BaseChannel,
        schema: types.BaseChannel,
        directory: str | data_types.RuntimeParameter,
        drift: Mapping[str, Any],
    ):
        """Declares the stage.

        Args:
          statistics: of the facts, as StatisticsGen gives them.
          schema: what they must fit.
          directory: the push destination, where production's own are kept.
          drift: the section `data.drift` of a configuration.
        """
        super().__init__(
            ExampleValidatorSpec(
                statistics=statistics,
                schema=schema,
                directory=directory,
                drift=json.dumps(dict(drift)),
                package_version=package.VERSION,
                anomalies=channel.Channel(type=standard_artifacts.ExampleAnomalies),
            )
        )
