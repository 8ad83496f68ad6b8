"""Evaluator: TFMA on the test split compares the candidate with the baseline and with the bounds of the gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.orchestration import data_types
from tfx.types import channel, component_spec, standard_artifacts, standard_component_specs
from tfx.utils import json_utils

from components import artifacts, code_digest, run_parameters
from components.evaluator import executor, export_gate
from config.gate import GateConfig


class EvaluatorSpec(component_spec.ComponentSpec):
    """Inputs, outputs and parameters of Evaluator. The executor makes TFX's parameter `eval_config` from `gate`."""

    PARAMETERS = {
        "gate": component_spec.ExecutionParameter(type=str),
        standard_component_specs.EXAMPLE_SPLITS_KEY: component_spec.ExecutionParameter(type=str),
        **run_parameters.specification(*run_parameters.GATE),
        code_digest.PARAMETER: component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        standard_component_specs.EXAMPLES_KEY: component_spec.ChannelParameter(type=standard_artifacts.Examples),
        standard_component_specs.MODEL_KEY: component_spec.ChannelParameter(type=standard_artifacts.Model),
        standard_component_specs.BASELINE_MODEL_KEY: component_spec.ChannelParameter(type=standard_artifacts.Model),
        "report": component_spec.ChannelParameter(type=artifacts.IngestReport, optional=True),
        "image_features": component_spec.ChannelParameter(type=artifacts.ImageFeatures, optional=True),
        export_gate.EXPORTS: component_spec.ChannelParameter(type=artifacts.ModelExports, optional=True),
        export_gate.TRANSFORM_GRAPH: component_spec.ChannelParameter(
            type=standard_artifacts.TransformGraph, optional=True
        ),
    }
    OUTPUTS = standard_component_specs.EvaluatorSpec.OUTPUTS


class Evaluator(base_beam_component.BaseBeamComponent):
    """Evaluates a candidate on raw examples, with the SavedModel that will be served.

    Outputs:
      evaluation: TFMA's metrics and validation result, and the probabilities of every image, see predictions.py.
      blessing: TFX's ModelBlessing; `verdict.json` in its folder has every check, `bad_slices.json` the parts of the
        test images in which the candidate is worse.
    """

    SPEC_CLASS = EvaluatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        baseline_model: types.BaseChannel,
        gate: GateConfig,
        example_splits: Sequence[str],
        runtime_parameters: Mapping[str, data_types.RuntimeParameter] | None = None,
        report: types.BaseChannel | None = None,
        image_features: types.BaseChannel | None = None,
        exports: types.BaseChannel | None = None,
        transform_graph: types.BaseChannel | None = None,
    ):
        """Declares the stage.

        Args:
          examples: raw examples, as ImageExampleGen writes them.
          model: the candidate.
          baseline_model: the output of BaselineModel; without a baseline, bounds on changes are not checked.
          gate: the bounds.
          example_splits: the splits to evaluate on; no image of them may be in another split.
          runtime_parameters: those of components/run_parameters.py that a run can be given.
          report: ImageExampleGen's, with the facts about the images; without it, no facts are searched for bad slices.
          image_features: LabelCheck's; without them, there is no linear probe, and no groups of similar images are
            searched.
          exports: the output of Export, which is judged too; None: the pipeline has no such stage.
          transform_graph: Transform's, which resizes images for exports; needed with them.
        """
        super().__init__(
            EvaluatorSpec(
                examples=examples,
                model=model,
                baseline_model=baseline_model,
                report=report,
                image_features=image_features,
                exports=exports,
                transform_graph=transform_graph,
                gate=gate.serialized(),
                example_splits=json_utils.dumps(list(example_splits)),
                **(runtime_parameters or {}),
                code_digest=code_digest.of(executor.__name__),
                evaluation=channel.Channel(type=standard_artifacts.ModelEvaluation),
                blessing=channel.Channel(type=standard_artifacts.ModelBlessing),
            )
        )
