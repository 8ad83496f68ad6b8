"""TFX's generic Trainer executor, on images and features together."""

from __future__ import annotations

from typing import Any

from tfx import types
from tfx.components.trainer import executor as tfx_executor
from tfx.types import artifact_utils
from tfx.utils import json_utils

from components import artifact_files, example_counts, run_parameters
from config.classifier import ClassifierConfig


class Executor(tfx_executor.GenericExecutor):
    """Executor of Trainer."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Trains as TFX does.

        Args:
          input_dict: `examples`, `transform_graph` and perhaps `features`. `run_fn` gets examples and features as one
            input, and tells them apart.
          output_dict: `model`, `model_run`.
          exec_properties: see the component; values that the run was given replace those of the configuration.

        Raises:
          BadInputError: if a value that the run was given is not allowed, and as modules/trainer.py has it.
        """
        custom_config = json_utils.loads(exec_properties["custom_config"])
        config = run_parameters.applied(ClassifierConfig.parse(custom_config["classifier"]), exec_properties)
        images = example_counts.recorded(artifact_utils.get_single_instance(input_dict["examples"]))
        data = {
            name: artifact_files.recorded_digest(artifact_utils.get_single_instance(several))
            for name, several in input_dict.items()
            if several
        }
        together = [*input_dict["examples"], *input_dict.get("features", [])]
        super().Do(
            {**input_dict, "examples": together},
            output_dict,
            {
                **exec_properties,
                "custom_config": json_utils.dumps(
                    {**custom_config, "classifier": config.serialized(), "images": images, "data": data}
                ),
            },
        )
