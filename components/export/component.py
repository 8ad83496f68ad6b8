"""Export: writes the candidate in formats for devices."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts

from components import artifacts, code_digest
from components.export import executor
from config.backbone import ImageInput
from config.export import ExportConfig


class ExportSpec(component_spec.ComponentSpec):
    """Inputs, outputs and parameters of Export."""

    PARAMETERS = {
        "config": component_spec.ExecutionParameter(type=str),
        "image_input": component_spec.ExecutionParameter(type=str),
        "max_pixels": component_spec.ExecutionParameter(type=int),
        code_digest.PARAMETER: component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph),
    }
    OUTPUTS = {"exports": component_spec.ChannelParameter(type=artifacts.ModelExports)}


class Export(base_component.BaseComponent):
    """Converts the classifier inside the SavedModel. Evaluator judges the files, and Pusher pushes them with it.

    Outputs:
      exports: see modules/exporting/export_files.py.
    """

    SPEC_CLASS = ExportSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        model: types.BaseChannel,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        config: ExportConfig,
        image_input: ImageInput,
        max_pixels: int,
    ):
        """Declares the stage.

        Args:
          model: the candidate.
          examples: raw examples, as ImageExampleGen writes them; images of train are used for calibration.
          transform_graph: Transform's.
          config: the formats.
          image_input: what Transform was given: how images are resized, and what the backbone takes.
          max_pixels: an image with more pixels is refused before it is decoded.
        """
        super().__init__(
            ExportSpec(
                model=model,
                examples=examples,
                transform_graph=transform_graph,
                config=config.serialized(),
                image_input=image_input.serialized(),
                max_pixels=max_pixels,
                code_digest=code_digest.of(executor.__name__),
                exports=channel.Channel(type=artifacts.ModelExports),
            )
        )
