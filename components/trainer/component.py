"""Trainer: TFX's, on images and on what TrunkFeatures made of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfx import types
from tfx.components.util import udf_utils
from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration import data_types
from tfx.proto import trainer_pb2
from tfx.types import channel, component_spec, standard_artifacts, standard_component_specs
from tfx.utils import json_utils

from components import package, run_parameters, state_driver
from components.trainer import executor


class TrainerSpec(component_spec.ComponentSpec):
    """Inputs, outputs and parameters of Trainer."""

    PARAMETERS = {
        **standard_component_specs.TrainerSpec.PARAMETERS,
        **run_parameters.specification(*run_parameters.TRAINING),
        state_driver.STATE: component_spec.ExecutionParameter(type=str, optional=True),
        package.PARAMETER: component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "features": component_spec.ChannelParameter(type=standard_artifacts.Examples, optional=True),
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph),
    }
    OUTPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "model_run": component_spec.ChannelParameter(type=standard_artifacts.ModelRun),
    }


class Trainer(base_component.BaseComponent):
    """TFX's Trainer with one more input; its own takes one artifact on Kubeflow Pipelines.

    Outputs:
      model: the SavedModel.
      model_run: TensorBoard's logs, the history and reference answers.
    """

    SPEC_CLASS = TrainerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        features: types.BaseChannel | None,
        transform_graph: types.BaseChannel,
        custom_config: Mapping[str, Any],
        module_file: str | None = None,
        run_fn: str | None = None,
        given: Mapping[str, data_types.RuntimeParameter] | None = None,
    ):
        """Declares the stage.

        Args:
          examples: raw examples, as ImageExampleGen writes them, of which train and eval are used.
          features: what TrunkFeatures gives; None: it trains on images.
          transform_graph: Transform's.
          custom_config: what `run_fn` finds under that name; JSON-serialisable.
          module_file: the file with `run_fn`, which TFX packs for wherever the stage runs; this or `run_fn`.
          run_fn: its import path, where the package is installed anyway.
          given: parameters of components/run_parameters.py that a run can be given anew.
        """
        super().__init__(
            TrainerSpec(
                examples=examples,
                features=features,
                transform_graph=transform_graph,
                module_file=module_file,
                run_fn=run_fn,
                train_args=trainer_pb2.TrainArgs(splits=["train"]),
                eval_args=trainer_pb2.EvalArgs(splits=["eval"]),
                custom_config=json_utils.dumps(dict(custom_config)),
                **(given or {}),
                package_version=package.VERSION,
                model=channel.Channel(type=standard_artifacts.Model),
                model_run=channel.Channel(type=standard_artifacts.ModelRun),
            )
        )
        if module_file and udf_utils.should_package_user_modules():
            udf_utils.add_user_module_dependency(
                self, standard_component_specs.MODULE_FILE_KEY, standard_component_specs.MODULE_PATH_KEY
            )
