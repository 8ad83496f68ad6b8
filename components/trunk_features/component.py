"""TrunkFeatures: what the backbone's frozen part makes of every image, computed once and kept."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts

from components import package, state_driver
from components.trunk_features import executor
from modules.trunk_features import Recipe


class TrunkFeaturesSpec(component_spec.ComponentSpec):
    """Inputs, outputs and parameters of TrunkFeatures. The parameters hold all that the output depends on."""

    PARAMETERS = {
        "recipe": component_spec.ExecutionParameter(type=str),
        "files": component_spec.ExecutionParameter(type=str),
        "splits": component_spec.ExecutionParameter(type=str),
        state_driver.STATE: component_spec.ExecutionParameter(type=str, optional=True),
        package.PARAMETER: component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph),
    }
    OUTPUTS = {"features": component_spec.ChannelParameter(type=standard_artifacts.Examples)}


class TrunkFeatures(base_beam_component.BaseBeamComponent):
    """Runs every image through the transform graph and the trunk.

    Outputs:
      features: as modules/trunk_features.py describes them, under the type of examples, which is what Trainer takes.
    """

    SPEC_CLASS = TrunkFeaturesSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        recipe: Recipe,
        files: Mapping[str, str],
        splits: Sequence[str] = ("train", "eval"),
    ):
        """Declares the stage.

        Args:
          examples: raw examples, as ImageExampleGen writes them.
          transform_graph: Transform's.
          recipe: what to compute.
          files: path to fingerprint of each file that the recipe names, so that another content is another result.
          splits: those to compute it for.
        """
        super().__init__(
            TrunkFeaturesSpec(
                examples=examples,
                transform_graph=transform_graph,
                recipe=json.dumps(dataclasses.asdict(recipe), sort_keys=True),
                files=json.dumps(dict(files), sort_keys=True),
                splits=json.dumps(list(splits)),
                package_version=package.VERSION,
                features=channel.Channel(type=standard_artifacts.Examples),
            )
        )
