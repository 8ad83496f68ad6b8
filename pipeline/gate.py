"""The gate: which TFMA metrics and thresholds a configuration means, and what became of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow_model_analysis as tfma
from google.protobuf import wrappers_pb2
from tensorflow_model_analysis.proto import metrics_for_slice_pb2

from modules import signatures
from pipeline.config import Gate

_ACCURACY = "accuracy"
_CONFUSION = "confusion"
_EXAMPLES = "example_count"
# TFMA has accuracies in float32, where 19 right of 20 is a little less than 0.95: no image is worth as little as this.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Check:
    """One threshold and what was measured.

    Attributes:
      metric: `accuracy`, or `accuracy_change` for candidate minus baseline.
      slice: which examples; `overall` for all of the test split.
      value: what was measured.
      bound: the lowest value that passes.
      passed: TFMA's verdict.
    """

    metric: str
    slice: str
    value: float
    bound: float
    passed: bool


@dataclass(frozen=True)
class ClassFigures:
    """How one class fared on the test split; no recall without examples, no precision without predictions."""

    recall: float | None
    precision: float | None
    examples: int


@dataclass(frozen=True)
class Evaluation:
    """What TFMA found on the test split."""

    examples: int
    accuracy: float
    per_class: Mapping[int, ClassFigures]
    blessed: bool
    checks: list[Check]


def eval_config(gate: Gate) -> tfma.EvalConfig:
    """The Evaluator's configuration: thresholds of `gate`, and what the summary reports."""
    accuracy = tfma.MetricThreshold(
        value_threshold=tfma.GenericValueThreshold(lower_bound=_double(gate.min_accuracy - _ROUNDING)),
        change_threshold=tfma.GenericChangeThreshold(
            absolute=_double(-gate.max_regression - _ROUNDING), direction=tfma.MetricDirection.HIGHER_IS_BETTER
        ),
    )
    metrics = [
        tfma.MetricConfig(class_name="ExampleCount"),
        tfma.MetricConfig(
            class_name="SparseCategoricalAccuracy", config=f'{{"name": "{_ACCURACY}"}}', threshold=accuracy
        ),
        # A threshold below every probability makes the most probable class the prediction, however improbable.
        tfma.MetricConfig(
            class_name="MultiClassConfusionMatrixAtThresholds",
            config=f'{{"name": "{_CONFUSION}", "thresholds": [-1.0]}}',
        ),
    ]
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(
                signature_name=signatures.SERVING_DEFAULT,
                prediction_key=signatures.PROBABILITIES,
                preprocessing_function_names=[signatures.TRUE_LABELS],
                label_key=signatures.LABEL,
            )
        ],
        slicing_specs=[tfma.SlicingSpec()],
        metrics_specs=[tfma.MetricsSpec(metrics=metrics)],
    )


def read_evaluation(uri: str, gate: Gate, has_baseline: bool) -> Evaluation:
    """Reads what the Evaluator wrote.

    Args:
      uri: of the ModelEvaluation artifact.
      gate: the bounds that were asked for.
      has_baseline: whether a baseline was evaluated beside the candidate.
    """
    metrics = _overall_metrics(uri)
    candidate = tfma.CANDIDATE_KEY if has_baseline else ""
    failed = _failed(uri)
    accuracy = metrics[candidate, _ACCURACY, False].double_value.value
    checks = [Check(_ACCURACY, "overall", accuracy, gate.min_accuracy, (_ACCURACY, False) not in failed)]
    if has_baseline:
        change = metrics[candidate, _ACCURACY, True].double_value.value
        passed = (_ACCURACY, True) not in failed
        checks.append(Check(f"{_ACCURACY}_change", "overall", change, -gate.max_regression, passed))
    return Evaluation(
        examples=int(metrics[candidate, _EXAMPLES, False].double_value.value),
        accuracy=accuracy,
        per_class=_per_class(metrics[candidate, _CONFUSION, False]),
        blessed=tfma.load_validation_result(uri).validation_ok,
        checks=checks,
    )


def _overall_metrics(uri: str) -> dict[tuple[str, str, bool], metrics_for_slice_pb2.MetricValue]:
    """(model name, metric name, whether it is candidate minus baseline) to its value over the whole split."""
    found = {}
    for metrics in tfma.load_metrics(uri):
        if not metrics.slice_key.single_slice_keys:
            for entry in metrics.metric_keys_and_values:
                found[entry.key.model_name, entry.key.name, entry.key.is_diff] = entry.value
    return found


def _failed(uri: str) -> set[tuple[str, bool]]:
    """(metric name, whether it is candidate minus baseline) of every threshold that TFMA found missed."""
    result = tfma.load_validation_result(uri)
    return {
        (failure.metric_key.name, failure.metric_key.is_diff)
        for validated in result.metric_validations_per_slice
        for failure in validated.failures
    }


def _per_class(value: metrics_for_slice_pb2.MetricValue) -> dict[int, ClassFigures]:
    (matrix,) = value.multi_class_confusion_matrix_at_thresholds.matrices
    actual: Counter[int] = Counter()
    predicted: Counter[int] = Counter()
    right: Counter[int] = Counter()
    for entry in matrix.entries:
        count = round(entry.num_weighted_examples)
        actual[entry.actual_class_id] += count
        predicted[entry.predicted_class_id] += count
        if entry.actual_class_id == entry.predicted_class_id:
            right[entry.actual_class_id] += count
    return {
        index: ClassFigures(
            recall=right[index] / actual[index] if actual[index] else None,
            precision=right[index] / predicted[index] if predicted[index] else None,
            examples=actual[index],
        )
        for index in sorted(actual.keys() | predicted.keys())
    }


def _double(value: float) -> wrappers_pb2.DoubleValue:
    return wrappers_pb2.DoubleValue(value=value)
