"""TFX's Evaluator, with a baseline that may be absent, and preconditions."""

from __future__ import annotations

from typing import Any

import tensorflow_model_analysis as tfma
from tfx import types
from tfx.components.evaluator import executor as tfx_executor
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import json_utils, path_utils, proto_utils

from components import run_parameters
from components.baseline_model import executor as baseline_model
from components.evaluator import bounds, preconditions, reading, verdict


class Executor(tfx_executor.Executor):
    """Executor of Evaluator."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Evaluates as TFX does, and writes the verdict beside the blessing.

        An absent baseline is dropped: TFX would take it for a model that fails to load.

        Args:
          input_dict: `examples`, `model`, `baseline_model`.
          output_dict: `evaluation`, `blessing`.
          exec_properties: see the component.

        Raises:
          EvaluationError: if a model can't be loaded, the classes differ, or an evaluated image was trained on.
        """
        if all(map(baseline_model.is_absent, input_dict["baseline_model"])):
            input_dict = {key: value for key, value in input_dict.items() if key != "baseline_model"}
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        preconditions.refuse_overlap(examples, json_utils.loads(exec_properties["example_splits"]))
        classes = _checked_classes(input_dict, bool(exec_properties["allow_new_classes"]))
        super().Do(input_dict, output_dict, _with_given_bounds(exec_properties))
        found = reading.read(artifact_utils.get_single_uri(output_dict["evaluation"]), classes)
        verdict.write(found, artifact_utils.get_single_uri(output_dict["blessing"]))


def _with_given_bounds(exec_properties: dict[str, Any]) -> dict[str, Any]:
    given = {name: exec_properties.get(name) for name in run_parameters.GATE}
    run_parameters.check(given)
    key = standard_component_specs.EVAL_CONFIG_KEY
    eval_config = proto_utils.json_to_proto(exec_properties[key], tfma.EvalConfig())
    return {**exec_properties, key: proto_utils.proto_to_json(bounds.replaced(eval_config, **given))}


def _checked_classes(input_dict: dict[str, list[types.Artifact]], allow_new_classes: bool) -> list[str]:
    """The candidate's classes, by index."""
    names = {"model": "the candidate", "baseline_model": "the model in production"}
    folders = {
        key: path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict[key]))
        for key in names.keys() & input_dict.keys()
    }
    classes = {key: preconditions.class_names(folder, names[key]) for key, folder in folders.items()}
    if "baseline_model" in classes:
        preconditions.refuse_other_classes(classes["model"], classes["baseline_model"], allow_new_classes)
    return classes["model"]
