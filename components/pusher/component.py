"""Pusher: makes a blessed candidate the next version in the push directory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration import data_types
from tfx.types import channel, component_spec, standard_artifacts

from components import artifacts, code_digest, run_parameters, state_driver
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
        code_digest.PARAMETER: component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "model_blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
        "infra_blessing": component_spec.ChannelParameter(type=standard_artifacts.InfraBlessing),
        "tf_serving_blessing": component_spec.ChannelParameter(type=standard_artifacts.InfraBlessing, optional=True),
        "report": component_spec.ChannelParameter(type=artifacts.IngestReport),
        "statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema),
        "anomalies": component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies),
        "model_run": component_spec.ChannelParameter(type=standard_artifacts.ModelRun),
        "exports": component_spec.ChannelParameter(type=artifacts.ModelExports, optional=True),
    }
    OUTPUTS = {"pushed_model": component_spec.ChannelParameter(type=standard_artifacts.PushedModel)}


class Pusher(base_component.BaseComponent):
    """Pushes a blessed model; components/serving_directory.py documents the guarantees.

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
        anomalies: types.BaseChannel,
        model_run: types.BaseChannel,
        directory: str | data_types.RuntimeParameter,
        keep: int | None,
        config: Mapping[str, Any],
        bless_anyway: str | data_types.RuntimeParameter = "",
        runtime_parameters: Mapping[str, data_types.RuntimeParameter] | None = None,
        exports: types.BaseChannel | None = None,
    ):
        """Declares the stage.

        Args:
          model: the candidate.
          model_blessing: of Evaluator.
          infra_blessing: of ServingCheck.
          tf_serving_blessing: of TFX's InfraValidator; None: the pipeline has no such stage.
          report: of ImageExampleGen.
          statistics: of the facts about the images; kept with the version, so that later data can be compared.
          schema: of the facts; kept with the version too.
          anomalies: of ExampleValidator, for the model card.
          model_run: of Trainer, for the model card.
          directory: the push directory, which a server may be watching.
          keep: how many versions stay; None: all.
          config: the run's configuration as JSON values, for the version's manifest; sections may be left out.
          bless_anyway: why a candidate that is not blessed shall be pushed; empty: it is not pushed.
          runtime_parameters: those of components/run_parameters.py that a run can be given; for the manifest too.
          exports: of Export, which are pushed with the model; None: the pipeline has no such stage.
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
                anomalies=anomalies,
                model_run=model_run,
                exports=exports,
                directory=directory,
                keep=keep or 0,
                config=json.dumps(dict(config), sort_keys=True),
                bless_anyway=bless_anyway,
                **(runtime_parameters or {}),
                code_digest=code_digest.of(executor.__name__, driver.__name__),
                pushed_model=channel.Channel(type=standard_artifacts.PushedModel),
            )
        )
