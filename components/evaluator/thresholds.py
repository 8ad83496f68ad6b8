"""The TFMA metrics and thresholds that the section `gate` of a configuration asks for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

import tensorflow_model_analysis as tfma
from google.protobuf import wrappers_pb2
from tensorflow_model_analysis.proto import config_pb2

from components.evaluator import metrics
from components.evaluator.metric_names import Metric
from components.evaluator.verdict import AT_LEAST, AT_MOST
from config import image_facts
from config.gate import GateConfig
from modules.serving import signatures

# TFMA computes accuracies as float32, where 19 of 20 is slightly less than 0.95. Every threshold is therefore this much
# wider than its bound; one image is worth far more.
_ROUNDING = 1e-6
_DIGITS = 9  # of a bound that `bound_of` restores
# Smallest difference of a probability between two images. The rounding errors of float32 are a thousand times smaller.
_SMALLEST_SPREAD = 1e-4
_OVERALL = tfma.SlicingSpec()


def eval_config(gate: GateConfig) -> tfma.EvalConfig:
    """Makes TFMA's configuration: all checks of `gate`, and all metrics that the summary reports."""
    bounds: dict[str, list[config_pb2.PerSliceMetricThreshold]] = {}
    for metric, slicing, threshold in _checks(gate):
        bounds.setdefault(metric, []).append(
            config_pb2.PerSliceMetricThreshold(slicing_specs=[slicing], threshold=threshold)
        )
    slicing_specs = [_OVERALL, _each(image_facts.LABEL)]
    slicing_specs += [_slicing(part.feature, part.value) for part in gate.slices]
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(
                signature_name=signatures.SERVING_DEFAULT,
                prediction_key=signatures.PROBABILITIES,
                preprocessing_function_names=[signatures.TRUE_LABELS],
                label_key=signatures.LABEL,
            )
        ],
        slicing_specs=list({spec.SerializeToString(): spec for spec in slicing_specs}.values()),
        metrics_specs=[tfma.MetricsSpec(metrics=list(_metrics(gate, bounds)))],
    )


def bound_of(
    threshold: tfma.GenericValueThreshold | tfma.GenericChangeThreshold,
) -> tuple[Literal["at least", "at most"], float]:
    """The bound that a threshold of `eval_config` was made of, and on which side of it a value passes."""
    if isinstance(threshold, tfma.GenericChangeThreshold):
        return AT_LEAST, round(threshold.absolute.value + _ROUNDING, _DIGITS)
    if threshold.HasField("lower_bound"):
        return AT_LEAST, round(threshold.lower_bound.value + _ROUNDING, _DIGITS)
    return AT_MOST, round(threshold.upper_bound.value - _ROUNDING, _DIGITS)


def _metrics(
    gate: GateConfig, bounds: dict[str, list[config_pb2.PerSliceMetricThreshold]]
) -> Iterator[tfma.MetricConfig]:
    def metric(class_name: str, name: Metric, module: str = "", **config: Any) -> tfma.MetricConfig:
        return tfma.MetricConfig(
            class_name=class_name,
            module=module,
            config=json.dumps({"name": name, **config}),
            per_slice_thresholds=bounds.pop(name, []),
        )

    yield metric("ExampleCount", Metric.EXAMPLE_COUNT)
    yield metric("SparseCategoricalAccuracy", Metric.ACCURACY)
    # A threshold below every probability: the prediction is the most probable class, however low its probability is.
    yield metric("MultiClassConfusionMatrixAtThresholds", Metric.CONFUSION, thresholds=[-1.0])
    for name in metrics.MEASURES:
        yield metric(metrics.Measure.__name__, name, metrics.__name__, confidence=gate.confidence)
    for name in metrics.COMPARISONS:
        yield metric(metrics.Comparison.__name__, name, metrics.__name__, confidence=gate.confidence)
    if bounds:
        raise AssertionError(f"no metric for the bounds on {', '.join(bounds)}")


_Check = tuple[Metric, tfma.SlicingSpec, tfma.MetricThreshold]


def _checks(gate: GateConfig) -> Iterator[_Check]:
    """The metric, slice and threshold of each check."""
    accuracy = Metric.ACCURACY.judged_by(gate.judge.accuracy)
    recall = Metric.ACCURACY.judged_by(gate.judge.recall)
    change = Metric.ACCURACY_CHANGE.judged_by(gate.judge.regression)
    yield Metric.EXAMPLE_COUNT, _OVERALL, _at_least(gate.min_test_examples)
    if gate.on_missing_class == "refuse":
        yield Metric.RAREST_CLASS_EXAMPLES, _OVERALL, _at_least(1)
    yield Metric.VALID, _OVERALL, _at_least(1)
    yield Metric.SPREAD, _OVERALL, _at_least(_SMALLEST_SPREAD)
    yield accuracy, _OVERALL, _at_least(gate.min_accuracy)
    yield change, _OVERALL, _change_at_least(-gate.max_regression)
    if gate.max_calibration_error is not None:
        yield Metric.CALIBRATION_ERROR, _OVERALL, _at_most(gate.max_calibration_error)
    if gate.max_false_rejects is not None:
        yield Metric.FALSE_REJECTS.judged_by(gate.judge.false_rejects), _OVERALL, _at_most(gate.max_false_rejects)
    for name, bound in _by_class(gate.min_recall):
        yield recall, _slicing(image_facts.LABEL, name), _at_least(bound)
    for name, bound in _by_class(gate.max_recall_regression):
        yield change, _slicing(image_facts.LABEL, name), _change_at_least(-bound)
    for part in gate.slices:
        slicing = _slicing(part.feature, part.value)
        yield Metric.EXAMPLE_COUNT, slicing, _at_least(part.min_examples)
        if part.min_accuracy is not None:
            yield accuracy, slicing, _at_least(part.min_accuracy)
        if part.max_regression is not None:
            yield change, slicing, _change_at_least(-part.max_regression)


def _by_class(bounds: float | dict[str, float] | None) -> list[tuple[str | None, float]]:
    """Pairs of class name and bound; the name None stands for each class."""
    if isinstance(bounds, dict):
        return list(bounds.items())
    return [] if bounds is None else [(None, bounds)]


def _slicing(feature: str, value: str | None) -> tfma.SlicingSpec:
    return _each(feature) if value is None else tfma.SlicingSpec(feature_values={feature: value})


def _each(feature: str) -> tfma.SlicingSpec:
    """One slice for each value of the feature."""
    return tfma.SlicingSpec(feature_keys=[feature])


def _at_least(bound: float) -> tfma.MetricThreshold:
    return tfma.MetricThreshold(value_threshold=tfma.GenericValueThreshold(lower_bound=_double(bound - _ROUNDING)))


def _at_most(bound: float) -> tfma.MetricThreshold:
    return tfma.MetricThreshold(value_threshold=tfma.GenericValueThreshold(upper_bound=_double(bound + _ROUNDING)))


def _change_at_least(bound: float) -> tfma.MetricThreshold:
    change = tfma.GenericChangeThreshold(
        absolute=_double(bound - _ROUNDING), direction=tfma.MetricDirection.HIGHER_IS_BETTER
    )
    return tfma.MetricThreshold(change_threshold=change)


def _double(value: float) -> wrappers_pb2.DoubleValue:
    return wrappers_pb2.DoubleValue(value=value)
