"""Pusher: a blessed candidate becomes the next version in the serving directory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration import data_types
from tfx.types import channel, component_spec, standard_artifacts

from components import artifacts, package, run_parameters, state_driver
from components.pusher import driver, executor


class PusherSpec(component_spec.ComponentSpec):
    """Inputs, outputs and parameters of Pusher."""

    PARAMETERS = {
        "directory": component_spec.ExecutionParameter(type=str),
        "keep": component_spec.ExecutionParameter(type=int),
        "config": component_spec.ExecutionParameter(type=str),
        "bless_anyway": component_spec.ExecutionParameter(type=str),
        **run_parameters.specification(*run_parameters.PATHS),
        state_driver.STATE: component_spec.ExecutionParameter(type=str, optional=True),
        package.PARAMETER: component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "model_blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
        "infra_blessing": component_spec.ChannelParameter(type=standard_artifacts.InfraBlessing),
        "tf_serving_blessing": component_spec.ChannelParameter(type=standard_artifacts.InfraBlessing, optional=True),
        "report": component_spec.ChannelParameter(type=artifacts.IngestReport),
        "statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema),
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

    def __init__(
        self,
        model: types.BaseChannel,
        model_blessing: types.BaseChannel,
        infra_blessing: types.BaseChannel,
        tf_serving_blessing: types.BaseChannel | None,
        report: types.BaseChannel,
        statistics: types.BaseChannel,
        schema: types.BaseChannel,
        directory: str | data_types.RuntimeParameter,
        keep: int | None,
        config: Mapping[str, Any],
        bless_anyway: str | data_types.RuntimeParameter = "",
        given: Mapping[str, data_types.RuntimeParameter] | None = None,
    ):
        """Declares the stage.

        Args:
          model: the candidate.
          model_blessing: the Evaluator's verdict.
          infra_blessing: ServingCheck's.
          tf_serving_blessing: TFX's InfraValidator's; None: it is not asked.
          report: ImageExampleGen's.
          statistics: of the facts; kept with the version, for the next data to be compared with.
          schema: of the facts; kept likewise.
          directory: the push destination, which a server may be watching.
          keep: how many versions stay; None: all.
          config: the run's configuration, for the version's manifest; JSON-serialisable.
          bless_anyway: why a candidate that isn't blessed is to be pushed all the same; empty: it isn't.
          given: parameters of components/run_parameters.py that a run can be given anew; they go into the manifest.
        """
        super().__init__(
            PusherSpec(
                model=model,
                model_blessing=model_blessing,
                infra_blessing=infra_blessing,
                tf_serving_blessing=tf_serving_blessing,
                report=report,
                statistics=statistics,
                schema=schema,
                directory=directory,
                keep=keep or 0,
                config=json.dumps(dict(config), sort_keys=True),
                bless_anyway=bless_anyway,
                **(given or {}),
                package_version=package.VERSION,
                pushed_model=channel.Channel(type=standard_artifacts.PushedModel),
            )
        )
