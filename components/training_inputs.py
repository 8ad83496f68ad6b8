"""What the module files of Trainer and Tuner are given: examples and features as one input, and a configuration."""

from __future__ import annotations

from typing import Any

from tfx import types
from tfx.types import artifact_utils
from tfx.utils import json_utils

from components import artifact_files, example_counts, run_parameters
from config.classifier import ClassifierConfig

Inputs = dict[str, list[types.Artifact]]


def of_module_file(input_dict: Inputs, exec_properties: dict[str, Any]) -> tuple[Inputs, dict[str, Any]]:
    """The inputs and parameters of TFX's executor.

    Args:
      input_dict: of ours: `examples`, perhaps `features`, and others.
      exec_properties: of ours, with `custom_config`; values that the run was given replace those of the configuration.

    Returns:
      both, with the features among `examples`, and with `images`, the number of examples of each split, and `data`, the
      digest of each input's files, in `custom_config`.

    Raises:
      BadInputError: if a value that the run was given is not allowed.
    """
    custom_config = json_utils.loads(exec_properties["custom_config"])
    config = run_parameters.applied(ClassifierConfig.parse(custom_config["classifier"]), exec_properties)
    images = example_counts.recorded(artifact_utils.get_single_instance(input_dict["examples"]))
    data = {
        name: artifact_files.recorded_digest(artifact_utils.get_single_instance(several))
        for name, several in input_dict.items()
        if several
    }
    complete = {**custom_config, "classifier": config.serialized(), "images": images, "data": data}
    together = [*input_dict["examples"], *input_dict.get("features", [])]
    return {**input_dict, "examples": together}, {**exec_properties, "custom_config": json_utils.dumps(complete)}
