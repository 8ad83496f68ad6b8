"""TFX's Evaluator, with a baseline that may be absent."""

from __future__ import annotations

from typing import Any

from tfx import types
from tfx.components.evaluator import executor as tfx_executor

from components.baseline_model import executor as baseline_model


class Executor(tfx_executor.Executor):
    """Executor of Evaluator."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Drops an absent baseline, which TFX would take for a model that fails to load; the rest is TFX's."""
        if all(map(baseline_model.is_absent, input_dict["baseline_model"])):
            input_dict = {key: value for key, value in input_dict.items() if key != "baseline_model"}
        super().Do(input_dict, output_dict, exec_properties)
