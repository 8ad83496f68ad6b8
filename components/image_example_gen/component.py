"""ImageExampleGen: labelled images to examples in splits."""

from __future__ import annotations

from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.orchestration import data_types
from tfx.types import channel, component_spec, standard_artifacts

from components import package, state_driver
from components.artifacts import IngestReport
from components.image_example_gen import driver, executor
from components.image_example_gen.settings import Settings


class ImageExampleGenSpec(component_spec.ComponentSpec):
    """Inputs, outputs and parameters of ImageExampleGen."""

    PARAMETERS = {
        "data_path": component_spec.ExecutionParameter(type=str),
        "settings": component_spec.ExecutionParameter(type=str),
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
    """Reads a tree `<class>/…/<file>` of images, a manifest, or files of records.

    Outputs:
      examples: tf.Examples as modules/features.py describes them, gzipped TFRecords, one folder a split.
      schema: their contract; what Transform parses them by.
      report: what became of every image (image_example_gen/report.py).
    """

    SPEC_CLASS = ImageExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)
    DRIVER_CLASS = driver.Driver

    def __init__(self, data_path: str | data_types.RuntimeParameter, settings: Settings):
        """Declares the stage.

        Args:
          data_path: the folder, manifest, or files of records.
          settings: how they are read.
        """
        super().__init__(
            ImageExampleGenSpec(
                data_path=data_path,
                settings=settings.serialized(),
                package_version=package.VERSION,
                examples=channel.Channel(type=standard_artifacts.Examples),
                schema=channel.Channel(type=standard_artifacts.Schema),
                report=channel.Channel(type=IngestReport),
            )
        )
