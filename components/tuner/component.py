"""Tuner: TFX's, on images and on what TrunkFeatures made of them."""

from __future__ import annotations

from collections.abc import Mapping

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration import data_types
from tfx.proto import trainer_pb2
from tfx.types import channel, component_spec, standard_artifacts, standard_component_specs
from tfx.utils import json_utils

from components import code_digest, run_parameters, state_driver, user_code
from components.tuner import executor
from config.classifier import ClassifierConfig
from config.data import EVAL, TRAIN
from config.search_space import Space
from config.training import Layers
from config.tuner import TunerConfig


class TunerSpec(component_spec.ComponentSpec):
    """Inputs, outputs and parameters of Tuner."""

    PARAMETERS = {
        **standard_component_specs.TunerSpec.PARAMETERS,
        **run_parameters.specification(*run_parameters.TRAINING),
        state_driver.STATE: component_spec.ExecutionParameter(type=str, optional=True),
        code_digest.PARAMETER: component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "features": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph),
    }
    OUTPUTS = standard_component_specs.TunerSpec.OUTPUTS


class Tuner(base_component.BaseComponent):
    """TFX's Tuner with one more input, as components/trainer has it.

    Outputs:
      best_hyperparameters: the values that Trainer is given.
      tuner_results: `trials.json`, and TFX's own list of the trials.
    """

    SPEC_CLASS = TunerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        features: types.BaseChannel,
        transform_graph: types.BaseChannel,
        module_file: str,
        config: ClassifierConfig,
        tuner: TunerConfig,
        space: Space,
        layers: Layers | None,
        state_directory: str | None,
        files: Mapping[str, str],
        runtime_parameters: Mapping[str, data_types.RuntimeParameter] | None = None,
    ):
        """Declares the stage.

        Args:
          examples: raw examples, as ImageExampleGen writes them; train and eval are used.
          features: the output of TrunkFeatures.
          transform_graph: Transform's.
          module_file: the file with `tuner_fn`, in a package of this project.
          config: what is trained, and how, without any value of the search.
          tuner: how the search is done.
          space: the values to try of each field.
          layers: by which the trunk was cut.
          state_directory: where the state of an unfinished search is kept; None: nowhere.
          files: name to fingerprint of each file that the configuration names, so that a changed file searches again.
          runtime_parameters: those of components/run_parameters.py that a run can be given.
        """
        module = user_code.import_path(module_file)
        custom_config = {
            "classifier": config.serialized(),
            "tuner": tuner.serialized(),
            "space": space,
            "layers": layers,
            "state_directory": state_directory,
            "files": dict(files),
        }
        super().__init__(
            TunerSpec(
                examples=examples,
                features=features,
                transform_graph=transform_graph,
                tuner_fn=f"{module}.tuner_fn",
                train_args=trainer_pb2.TrainArgs(splits=[TRAIN]),
                eval_args=trainer_pb2.EvalArgs(splits=[EVAL]),
                custom_config=json_utils.dumps(custom_config),
                **(runtime_parameters or {}),
                code_digest=code_digest.of(executor.__name__, module),
                best_hyperparameters=channel.Channel(type=standard_artifacts.HyperParameters),
                tuner_results=channel.Channel(type=standard_artifacts.TunerResults),
            )
        )
