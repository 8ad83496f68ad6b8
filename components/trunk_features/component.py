"""TrunkFeatures: the activations of the backbone's frozen part, computed once per image and kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts

from components import code_digest, state_driver
from components.trunk_features import executor
from components.trunk_features.extractor import Recipe
from config.data import EVAL, TRAIN


class TrunkFeaturesSpec(component_spec.ComponentSpec):
    """Inputs, outputs and parameters of TrunkFeatures. The output depends on nothing else."""

    PARAMETERS = {
        "recipe": component_spec.ExecutionParameter(type=str),
        "files": component_spec.ExecutionParameter(type=str),
        "splits": component_spec.ExecutionParameter(type=str),
        state_driver.STATE: component_spec.ExecutionParameter(type=str, optional=True),
        code_digest.PARAMETER: component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph),
    }
    OUTPUTS = {"features": component_spec.ChannelParameter(type=standard_artifacts.Examples)}


class TrunkFeatures(base_beam_component.BaseBeamComponent):
    """Runs every image through the transform graph and the trunk.

    Outputs:
      features: as modules/data/trunk_features.py describes them; typed as examples, since Trainer reads examples.
    """

    SPEC_CLASS = TrunkFeaturesSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        recipe: Recipe,
        files: Mapping[str, str],
        splits: Sequence[str] = (TRAIN, EVAL),
    ):
        """Declares the stage.

        Args:
          examples: raw examples, as ImageExampleGen writes them.
          transform_graph: Transform's.
          recipe: what to compute.
          files: name to fingerprint of each file that the recipe names, so that a changed file gives a new result.
          splits: the splits to compute.
        """
        super().__init__(
            TrunkFeaturesSpec(
                examples=examples,
                transform_graph=transform_graph,
                recipe=recipe.serialized(),
                files=json.dumps(dict(files), sort_keys=True),
                splits=json.dumps(list(splits)),
                code_digest=code_digest.of(executor.__name__),
                features=channel.Channel(type=standard_artifacts.Examples),
            )
        )
