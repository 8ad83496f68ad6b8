"""TFX's Tuner executor, on images and features together."""

from __future__ import annotations

import os
from typing import Any

from tfx import types
from tfx.components.tuner import executor as tfx_executor
from tfx.types import artifact_utils

from components import training_inputs
from modules.tuning import results


class Executor(tfx_executor.Executor):
    """Executor of Tuner."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Searches as TFX does.

        Args:
          input_dict: `examples`, `transform_graph` and `features`. `tuner_fn` gets examples and features as one input.
          output_dict: `best_hyperparameters`, `tuner_results`.
          exec_properties: see the component; values that the run was given replace those of the configuration.

        Raises:
          BadInputError: if a value that the run was given is not allowed, and as modules/tuner.py has it.
        """
        inputs, properties = training_inputs.of_module_file(input_dict, exec_properties)
        tuner = tfx_executor.search(inputs, properties, self._get_tmp_dir(), print_tuning_summary=False)
        found = tuner.results()
        tfx_executor.write_best_hyperparameters(tuner, output_dict)
        folder = artifact_utils.get_single_uri(output_dict["tuner_results"])
        results.write(found, os.path.join(folder, results.TRIALS))
        results.log_table(found)
        tuner.discard()
