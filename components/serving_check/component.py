"""ServingCheck: whether the candidate can be served, and answers as in training. TFX's InfraValidator needs Docker."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts

from components import code_digest
from components.serving_check import executor
from config.serving import ServingCheckConfig


class ServingCheckSpec(component_spec.ComponentSpec):
    """Inputs, outputs and parameters of ServingCheck."""

    PARAMETERS = {
        "config": component_spec.ExecutionParameter(type=str),
        code_digest.PARAMETER: component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "model_run": component_spec.ChannelParameter(type=standard_artifacts.ModelRun),
    }
    OUTPUTS = {"infra_blessing": component_spec.ChannelParameter(type=standard_artifacts.InfraBlessing)}


class ServingCheck(base_component.BaseComponent):
    """Loads the candidate in a new process without this project's code, and compares its answers about real images.

    Outputs:
      infra_blessing: as TFX's Pusher reads it; see components/serving_check/findings.py for the file in it.
    """

    SPEC_CLASS = ServingCheckSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(self, model: types.BaseChannel, model_run: types.BaseChannel, config: ServingCheckConfig):
        """Declares the stage.

        Args:
          model: the candidate.
          model_run: Trainer's, with its reference predictions.
          config: tolerance and bounds; `tf_serving` is not used here, and no part of the cache key.
        """
        super().__init__(
            ServingCheckSpec(
                model=model,
                model_run=model_run,
                config=config.model_copy(update={"tf_serving": None}).serialized(),
                code_digest=code_digest.of(executor.__name__),
                infra_blessing=channel.Channel(type=standard_artifacts.InfraBlessing),
            )
        )
