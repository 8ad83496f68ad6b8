"""TFX's generic Trainer executor, on images and features together."""

from __future__ import annotations

from typing import Any

from tfx import types
from tfx.components.trainer import executor as tfx_executor

from components import training_inputs


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
          input_dict: `examples`, `transform_graph`, and perhaps `features` and `hyperparameters`. `run_fn` gets
            examples and features as one input, and tells them apart.
          output_dict: `model`, `model_run`.
          exec_properties: see the component; values that the run was given replace those of the configuration.

        Raises:
          BadInputError: if a value that the run was given is not allowed, and as modules/trainer.py has it.
        """
        inputs, properties = training_inputs.of_module_file(input_dict, exec_properties)
        super().Do(inputs, output_dict, properties)
