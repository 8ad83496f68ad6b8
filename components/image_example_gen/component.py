"""ImageExampleGen: a folder of labelled images to examples in splits."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.orchestration import data_types
from tfx.types import channel, component_spec, standard_artifacts

from components import package, state_driver
from components.artifacts import IngestReport
from components.image_example_gen import driver, executor


class ImageExampleGenSpec(component_spec.ComponentSpec):
    """Inputs, outputs and parameters of ImageExampleGen."""

    PARAMETERS = {
        "data_path": component_spec.ExecutionParameter(type=str),
        "splits": component_spec.ExecutionParameter(type=str),
        "max_bad_fraction": component_spec.ExecutionParameter(type=float),
        state_driver.STATE: component_spec.ExecutionParameter(type=str, optional=True),
        package.PARAMETER: component_spec.ExecutionParameter(type=str),
    }
    INPUTS: dict[str, component_spec.ChannelParameter] = {}
    OUTPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema),
        "report": component_spec.ChannelParameter(type=IngestReport),
    }


class ImageExampleGen(base_beam_component.BaseBeamComponent):
    """Reads a tree `<class>/…/<file>` of images.

    Outputs:
      examples: tf.Examples as modules/features.py describes them, gzipped TFRecords, one folder a split.
      schema: their contract; what Transform parses them by.
      report: what became of every file (image_example_gen/report.py).
    """

    SPEC_CLASS = ImageExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)
    DRIVER_CLASS = driver.Driver

    def __init__(
        self, data_path: str | data_types.RuntimeParameter, splits: Mapping[str, int], max_bad_fraction: float
    ):
        """Declares the stage.

        Args:
          data_path: the data folder.
          splits: split name to share, positive integers, e.g. `{"train": 8, "eval": 1, "test": 1}`.
          max_bad_fraction: of the files found, how many may be unusable before the run is stopped, [0, 1].
        """
        super().__init__(
            ImageExampleGenSpec(
                data_path=data_path,
                splits=json.dumps(dict(splits)),
                max_bad_fraction=float(max_bad_fraction),
                package_version=package.VERSION,
                examples=channel.Channel(type=standard_artifacts.Examples),
                schema=channel.Channel(type=standard_artifacts.Schema),
                report=channel.Channel(type=IngestReport),
            )
        )
