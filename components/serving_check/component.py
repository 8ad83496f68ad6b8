"""ServingCheck: can the candidate be served, and as trained? What TFX's InfraValidator asks, without Docker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts

from components import package
from components.serving_check import executor


class ServingCheckSpec(component_spec.ComponentSpec):
    """Inputs, outputs and parameters of ServingCheck."""

    PARAMETERS = {
        "settings": component_spec.ExecutionParameter(type=str),
        package.PARAMETER: component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "model_run": component_spec.ChannelParameter(type=standard_artifacts.ModelRun),
    }
    OUTPUTS = {"infra_blessing": component_spec.ChannelParameter(type=standard_artifacts.InfraBlessing)}


class ServingCheck(base_component.BaseComponent):
    """Loads the candidate in a fresh process that has none of this project's code, and asks it about real images.

    Outputs:
      infra_blessing: as TFX's Pusher reads it; see serving_check/executor.py.
    """

    SPEC_CLASS = ServingCheckSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(self, model: types.BaseChannel, model_run: types.BaseChannel, settings: Mapping[str, Any]):
        """Declares the stage.

        Args:
          model: the candidate.
          model_run: Trainer's, with its reference answers.
          settings: the section `serving_check` of the configuration.
        """
        super().__init__(
            ServingCheckSpec(
                model=model,
                model_run=model_run,
                settings=json.dumps(dict(settings), sort_keys=True),
                package_version=package.VERSION,
                infra_blessing=channel.Channel(type=standard_artifacts.InfraBlessing),
            )
        )
