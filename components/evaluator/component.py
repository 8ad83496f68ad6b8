"""Evaluator: TFMA over the test split, candidate against baseline and bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow_model_analysis as tfma
from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.orchestration import data_types
from tfx.types import channel, component_spec, standard_artifacts, standard_component_specs
from tfx.utils import json_utils

from components import package, run_parameters
from components.evaluator import executor


class EvaluatorSpec(component_spec.ComponentSpec):
    """TFX's Evaluator, its baseline obligatory (and perhaps absent), with the package's version in the cache key."""

    PARAMETERS = {
        **standard_component_specs.EvaluatorSpec.PARAMETERS,
        **run_parameters.specification(*run_parameters.GATE),
        "allow_new_classes": component_spec.ExecutionParameter(type=int),
        package.PARAMETER: component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        name: component_spec.ChannelParameter(type=kind)
        for name, kind in (
            (standard_component_specs.EXAMPLES_KEY, standard_artifacts.Examples),
            (standard_component_specs.MODEL_KEY, standard_artifacts.Model),
            (standard_component_specs.BASELINE_MODEL_KEY, standard_artifacts.Model),
        )
    }
    OUTPUTS = standard_component_specs.EvaluatorSpec.OUTPUTS


class Evaluator(base_beam_component.BaseBeamComponent):
    """Evaluates a candidate on raw examples, through the SavedModel as it will be served.

    Outputs:
      evaluation: TFMA's metrics and validation result.
      blessing: TFX's ModelBlessing; beside its mark, `verdict.json` says which checks passed.
    """

    SPEC_CLASS = EvaluatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        baseline_model: types.BaseChannel,
        eval_config: tfma.EvalConfig,
        example_splits: Sequence[str],
        allow_new_classes: bool = False,
        given: Mapping[str, data_types.RuntimeParameter] | None = None,
    ):
        """Declares the stage.

        Args:
          examples: raw examples, as ImageExampleGen writes them.
          model: the candidate.
          baseline_model: what BaselineModel gives.
          eval_config: metrics and thresholds; change thresholds count only if there is a baseline.
          example_splits: the splits to evaluate on; an image that is in another split too is refused.
          allow_new_classes: whether the candidate may know classes that the baseline doesn't.
          given: parameters of components/run_parameters.py that a run can be given anew.
        """
        super().__init__(
            EvaluatorSpec(
                examples=examples,
                model=model,
                baseline_model=baseline_model,
                eval_config=eval_config,
                example_splits=json_utils.dumps(list(example_splits)),
                allow_new_classes=int(allow_new_classes),
                **(given or {}),
                package_version=package.VERSION,
                evaluation=channel.Channel(type=standard_artifacts.ModelEvaluation),
                blessing=channel.Channel(type=standard_artifacts.ModelBlessing),
            )
        )
