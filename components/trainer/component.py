"""Trainer: TFX's, on images and on what TrunkFeatures made of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration import data_types
from tfx.proto import trainer_pb2
from tfx.types import channel, component_spec, standard_artifacts, standard_component_specs
from tfx.utils import json_utils

from components import code_digest, run_parameters, state_driver, user_code
from components.trainer import executor
from config.classifier import ClassifierConfig
from config.data import EVAL, TRAIN
from config.training import Layers


class TrainerSpec(component_spec.ComponentSpec):
    """Inputs, outputs and parameters of Trainer."""

    PARAMETERS = {
        **standard_component_specs.TrainerSpec.PARAMETERS,
        **run_parameters.specification(*run_parameters.TRAINING),
        state_driver.STATE: component_spec.ExecutionParameter(type=str, optional=True),
        code_digest.PARAMETER: component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "features": component_spec.ChannelParameter(type=standard_artifacts.Examples, optional=True),
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph),
        "hyperparameters": component_spec.ChannelParameter(type=standard_artifacts.HyperParameters, optional=True),
    }
    OUTPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "model_run": component_spec.ChannelParameter(type=standard_artifacts.ModelRun),
    }


class Trainer(base_component.BaseComponent):
    """TFX's Trainer with one more input; its own input takes one artifact on Kubeflow Pipelines.

    Outputs:
      model: the SavedModel.
      model_run: TensorBoard's logs, the history and reference predictions.
    """

    SPEC_CLASS = TrainerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        features: types.BaseChannel | None,
        transform_graph: types.BaseChannel,
        module_file: str,
        config: ClassifierConfig,
        state_directory: str | None,
        files: Mapping[str, str],
        hyperparameters: types.BaseChannel | None = None,
        layers: Layers | None = None,
        runtime_parameters: Mapping[str, data_types.RuntimeParameter] | None = None,
    ):
        """Declares the stage.

        Args:
          examples: raw examples, as ImageExampleGen writes them; train and eval are used.
          features: the output of TrunkFeatures; None: training reads images.
          transform_graph: Transform's.
          module_file: the file with `run_fn`, in a package of this project.
          config: what is trained, and how.
          state_directory: where the state of an unfinished training is kept; None: nowhere.
          files: name to fingerprint of each file that the configuration names, so that a changed file trains again.
          hyperparameters: what Tuner found; None: the configuration holds.
          layers: by which the trunk was cut, if Tuner may have found fewer to fine-tune.
          runtime_parameters: those of components/run_parameters.py that a run can be given.
        """
        module = user_code.import_path(module_file)
        custom_config: dict[str, Any] = {
            "classifier": config.serialized(),
            "state_directory": state_directory,
            "files": dict(files),
        }
        if hyperparameters is not None:
            custom_config["layers"] = layers
        super().__init__(
            TrainerSpec(
                examples=examples,
                features=features,
                transform_graph=transform_graph,
                hyperparameters=hyperparameters,
                module_path=module,
                train_args=trainer_pb2.TrainArgs(splits=[TRAIN]),
                eval_args=trainer_pb2.EvalArgs(splits=[EVAL]),
                custom_config=json_utils.dumps(custom_config),
                **(runtime_parameters or {}),
                code_digest=code_digest.of(executor.__name__, module),
                model=channel.Channel(type=standard_artifacts.Model),
                model_run=channel.Channel(type=standard_artifacts.ModelRun),
            )
        )
