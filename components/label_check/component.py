"""LabelCheck: which labels may be wrong, in all splits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts

from components import artifacts, code_digest, state_driver
from components.label_check import executor
from components.trunk_features.extractor import Recipe
from config.data import EVAL, TEST, TRAIN
from config.label_check import LabelCheckConfig


class LabelCheckSpec(component_spec.ComponentSpec):
    """Inputs, outputs and parameters of LabelCheck."""

    PARAMETERS = {
        "recipe": component_spec.ExecutionParameter(type=str),
        "files": component_spec.ExecutionParameter(type=str),
        "splits": component_spec.ExecutionParameter(type=str),
        "config": component_spec.ExecutionParameter(type=str),
        state_driver.STATE: component_spec.ExecutionParameter(type=str, optional=True),
        code_digest.PARAMETER: component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph),
        "report": component_spec.ChannelParameter(type=artifacts.IngestReport),
        "features": component_spec.ChannelParameter(type=standard_artifacts.Examples, optional=True),
    }
    OUTPUTS = {
        "image_features": component_spec.ChannelParameter(type=artifacts.ImageFeatures),
        "label_check": component_spec.ChannelParameter(type=artifacts.LabelFindings),
    }


class LabelCheck(base_component.BaseComponent):
    """Judges the label of every image by a classifier that did not see it.

    Nothing that trains a model reads its outputs. Test images are among what its classifier is fitted on, so nothing
    that judges a model reads `label_check`. The features of the images are fitted on nothing: Evaluator fits a linear
    probe on them, and groups images by them.

    Outputs:
      image_features: see components/label_check/image_features.py.
      label_check: see components/label_check/results.py.
    """

    SPEC_CLASS = LabelCheckSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        report: types.BaseChannel,
        features: types.BaseChannel | None,
        recipe: Recipe,
        files: Mapping[str, str],
        config: LabelCheckConfig,
        splits: Sequence[str] = (TRAIN, EVAL, TEST),
    ):
        """Declares the stage.

        Args:
          examples: raw examples, as ImageExampleGen writes them.
          transform_graph: Transform's.
          report: ImageExampleGen's.
          features: the output of TrunkFeatures; None if there is no such stage.
          recipe: of these features, or what it would be.
          files: name to fingerprint of each file that the recipe names, so that a changed file gives a new result.
          config: bounds.
          splits: the splits to judge.
        """
        optional = {} if features is None else {"features": features}
        super().__init__(
            LabelCheckSpec(
                examples=examples,
                transform_graph=transform_graph,
                report=report,
                recipe=recipe.serialized(),
                files=json.dumps(dict(files), sort_keys=True),
                splits=json.dumps(list(splits)),
                config=config.serialized(),
                code_digest=code_digest.of(executor.__name__),
                image_features=channel.Channel(type=artifacts.ImageFeatures),
                label_check=channel.Channel(type=artifacts.LabelFindings),
                **optional,
            )
        )
