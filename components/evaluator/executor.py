"""TFX's Evaluator with typed thresholds, a baseline that may be absent, and preconditions."""

from __future__ import annotations

import dataclasses
from typing import Any

from tfx import types
from tfx.components.evaluator import executor as tfx_executor
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import json_utils, path_utils, proto_utils

from components import example_counts, example_files, run_parameters
from components.baseline_model import properties
from components.evaluator import (
    bad_slices,
    custom_extractors,
    export_gate,
    linear_probe,
    preconditions,
    prediction_writer,
    predictions,
    results,
    slice_findings,
    thresholds,
    verdict,
)
from components.evaluator import blessing as blessings
from components.evaluator.stress import measurement
from config.gate import GateConfig

_MODEL = standard_component_specs.MODEL_KEY
_BASELINE = standard_component_specs.BASELINE_MODEL_KEY
_CUSTOM_EXTRACTORS = "custom_extractors"  # TFX's execution property for the path of a function


class Executor(tfx_executor.Executor):
    """Executor of Evaluator."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Evaluates as TFX does, writes the verdict beside the blessing, and keeps the probabilities of every image.

        An absent baseline is left out: TFX would report it as a model that fails to load.

        Args:
          input_dict: `examples`, `model`, `baseline_model`; perhaps `report`, `image_features`, `exports` and
            `transform_graph`.
          output_dict: `evaluation`, `blessing`.
          exec_properties: see the component; parameters of the run replace fields of `gate`.

        Raises:
          BadInputError: if a parameter of the run is not allowed.
          EvaluationError: if a model cannot be loaded, the classes differ, or an evaluated image is in another split.
          IncompleteExamplesError: if not every example of the split was evaluated.
        """
        gate = gate_of(exec_properties)
        if all(map(properties.is_absent, input_dict[_BASELINE])):
            input_dict = {key: value for key, value in input_dict.items() if key != _BASELINE}
        examples = artifact_utils.get_single_instance(input_dict[standard_component_specs.EXAMPLES_KEY])
        splits = json_utils.loads(exec_properties[standard_component_specs.EXAMPLE_SPLITS_KEY])
        preconditions.check_no_overlap(examples, splits)
        classes = _checked_classes(input_dict, gate.allow_new_classes)
        eval_config = proto_utils.proto_to_json(thresholds.eval_config(gate))
        evaluation, blessing = (artifact_utils.get_single_uri(output_dict[key]) for key in ("evaluation", "blessing"))
        exec_properties = {
            **exec_properties,
            standard_component_specs.EVAL_CONFIG_KEY: eval_config,
            _CUSTOM_EXTRACTORS: custom_extractors.PATH,
        }
        with prediction_writer.writing_to(evaluation, classes[_MODEL], classes.get(_BASELINE)):
            super().Do(input_dict, output_dict, exec_properties)
        found = results.read(evaluation, classes[_MODEL], gate.confidence)
        for split in splits if len(splits) == 1 else ():
            example_counts.check(examples, split, found.examples)
        if _BASELINE in classes:
            baseline = artifact_utils.get_single_instance(input_dict[_BASELINE])
            found = dataclasses.replace(found, baseline=baseline.get_int_custom_property(properties.VERSION) or None)
        answers = predictions.read(evaluation)
        if _BASELINE in classes and (classes[_BASELINE] != classes[_MODEL] or not answers.has_same_novelty):
            found = dataclasses.replace(found, largest_difference=None)
        files = [path for split in splits for path in example_files.of_split(examples, split)]
        found = measurement.added(found, gate, _models(input_dict), files, answers, evaluation)
        report, image_features = (_uri(input_dict, key) for key in ("report", "image_features"))
        found = linear_probe.added(found, gate, image_features, answers)
        if input_dict.get(export_gate.EXPORTS):
            found = export_gate.judged(found, input_dict, splits, answers, blessing, gate)
        if not found.blessed:
            blessings.withdraw(artifact_utils.get_single_instance(output_dict["blessing"]))
        verdict.write(found, blessing)
        if gate.find_bad_slices and found.examples:
            search = bad_slices.search(answers, report, image_features, splits, gate.confidence)
            slice_findings.write(search, blessing)


def _models(input_dict: dict[str, list[types.Artifact]]) -> measurement.Models:
    """Folders of the SavedModels; an absent baseline is not among the inputs any more."""
    paths = {
        key: path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict[key]))
        for key in (_MODEL, _BASELINE)
        if key in input_dict
    }
    return measurement.Models(paths[_MODEL], paths.get(_BASELINE))


def gate_of(exec_properties: dict[str, Any]) -> GateConfig:
    """The section `gate`, with the parameters of the run in it.

    Raises:
      BadInputError: if a parameter of the run is not allowed.
    """
    return run_parameters.applied(GateConfig.parse(exec_properties["gate"]), exec_properties, root=("gate",))


def _uri(input_dict: dict[str, list[types.Artifact]], key: str) -> str | None:
    """The folder of an input that may be absent."""
    return artifact_utils.get_single_uri(input_dict[key]) if input_dict.get(key) else None


def _checked_classes(input_dict: dict[str, list[types.Artifact]], allow_new_classes: bool) -> dict[str, list[str]]:
    """The class names of the candidate, and of the baseline if there is one, by index."""
    names = {_MODEL: "the candidate", _BASELINE: "the model in production"}
    classes = {
        key: preconditions.class_names(path_utils.serving_model_path(artifact_utils.get_single_uri(models)), names[key])
        for key, models in input_dict.items()
        if key in names
    }
    if _BASELINE in classes:
        preconditions.check_classes(classes[_MODEL], classes[_BASELINE], allow_new_classes)
    return classes
