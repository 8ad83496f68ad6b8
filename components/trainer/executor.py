"""TFX's generic Trainer executor, on images and features together."""

from __future__ import annotations

from typing import Any

from tfx import types
from tfx.components.trainer import executor as tfx_executor
from tfx.utils import json_utils

from components import run_parameters


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
          input_dict: `examples` and, if there are, `features`, which `run_fn` gets as one and tells apart;
            `transform_graph`.
          output_dict: `model`, `model_run`.
          exec_properties: see the component; what the run was given replaces what `custom_config` says.

        Raises:
          BadInputError: if what the run was given is out of its range, and as modules/trainer.py has it.
        """
        custom_config = run_parameters.applied(json_utils.loads(exec_properties["custom_config"]), exec_properties)
        together = [*input_dict["examples"], *input_dict.get("features", [])]
        super().Do(
            {**input_dict, "examples": together},
            output_dict,
            {**exec_properties, "custom_config": json_utils.dumps(custom_config)},
        )
