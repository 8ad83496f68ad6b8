"""ImageExampleGen: turns labelled images into examples in splits."""

from __future__ import annotations

from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.orchestration import data_types
from tfx.types import channel, component_spec, standard_artifacts

from components import code_digest, state_driver
from components.artifacts import IngestReport
from components.image_example_gen import driver, executor
from config.data import IngestionConfig


class ImageExampleGenSpec(component_spec.ComponentSpec):
    """Inputs, outputs and parameters of ImageExampleGen."""

    PARAMETERS = {
        "data_path": component_spec.ExecutionParameter(type=str),
        "ingestion": component_spec.ExecutionParameter(type=str),
        "allow_untested_classes": component_spec.ExecutionParameter(type=int),
        state_driver.STATE: component_spec.ExecutionParameter(type=str, optional=True),
        code_digest.PARAMETER: component_spec.ExecutionParameter(type=str),
    }
    INPUTS: dict[str, component_spec.ChannelParameter] = {}
    OUTPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema),
        "report": component_spec.ChannelParameter(type=IngestReport),
    }


class ImageExampleGen(base_beam_component.BaseBeamComponent):
    """Reads images from a folder `<class>/…/<file>`, a manifest, or files of records.

    Outputs:
      examples: tf.Examples as modules/data/features.py describes them, in gzipped TFRecords, one folder per split.
      schema: types and shapes of the examples' features; Transform parses the examples by it.
      report: what happened to every image (image_example_gen/report.py).
    """

    SPEC_CLASS = ImageExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)
    DRIVER_CLASS = driver.Driver

    def __init__(
        self, data_path: str | data_types.RuntimeParameter, ingestion: IngestionConfig, allow_untested_classes: bool
    ):
        """Declares the stage.

        Args:
          data_path: the folder, manifest, or files of records.
          ingestion: how the images are read.
          allow_untested_classes: whether a class may have no test image.
        """
        super().__init__(
            ImageExampleGenSpec(
                data_path=data_path,
                ingestion=ingestion.serialized(),
                allow_untested_classes=int(allow_untested_classes),
                code_digest=code_digest.of(executor.__name__, driver.__name__),
                examples=channel.Channel(type=standard_artifacts.Examples),
                schema=channel.Channel(type=standard_artifacts.Schema),
                report=channel.Channel(type=IngestReport),
            )
        )
