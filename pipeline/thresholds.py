"""Which TFMA metrics and thresholds the section `gate` of a configuration means."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import tensorflow_model_analysis as tfma
from google.protobuf import wrappers_pb2
from tensorflow_model_analysis.proto import config_pb2

from components.evaluator.reading import ROUNDING
from modules import features, metrics, signatures
from pipeline.config import Gate, JudgedBy

ACCURACY = "accuracy"
CONFUSION = "confusion"
EXAMPLES = "example_count"
CHANGE = "accuracy_change"
_SMALLEST_SPREAD = (
    1e-4  # of a probability between two images; what float32 makes of one answer is a thousand times less
)
_OVERALL = tfma.SlicingSpec()


def eval_config(gate: Gate) -> tfma.EvalConfig:
    """The Evaluator's configuration: every check of `gate`, and what the summary reports."""
    bounds: dict[str, list[config_pb2.PerSliceMetricThreshold]] = {}
    for metric, slicing, threshold in _checks(gate):
        bounds.setdefault(metric, []).append(
            config_pb2.PerSliceMetricThreshold(slicing_specs=[slicing], threshold=threshold)
        )
    slicing_specs = [_OVERALL, _each(features.LABEL)]
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


def _metrics(gate: Gate, bounds: dict[str, list[config_pb2.PerSliceMetricThreshold]]) -> Iterator[tfma.MetricConfig]:
    def metric(class_name: str, name: str, module: str = "", **config: Any) -> tfma.MetricConfig:
        return tfma.MetricConfig(
            class_name=class_name,
            module=module,
            config=json.dumps({"name": name, **config}),
            per_slice_thresholds=bounds.pop(name, []),
        )

    yield metric("ExampleCount", EXAMPLES)
    yield metric("SparseCategoricalAccuracy", ACCURACY)
    # A threshold below every probability makes the most probable class the prediction, however improbable.
    yield metric("MultiClassConfusionMatrixAtThresholds", CONFUSION, thresholds=[-1.0])
    for name in metrics.MEASURES:
        yield metric(metrics.Measure.__name__, name, metrics.__name__, confidence=gate.confidence)
    for name in metrics.COMPARISONS:
        yield metric(metrics.Comparison.__name__, name, metrics.__name__, confidence=gate.confidence)
    if bounds:
        raise AssertionError(f"no metric for the bounds on {', '.join(bounds)}")


_Check = tuple[str, tfma.SlicingSpec, tfma.MetricThreshold]


def _checks(gate: Gate) -> Iterator[_Check]:
    """Each one's metric, slice and threshold."""
    yield EXAMPLES, _OVERALL, _at_least(gate.min_test_examples)
    if gate.on_missing_class == "refuse":
        yield "rarest_class_examples", _OVERALL, _at_least(1)
    yield "valid", _OVERALL, _at_least(1)
    yield "spread", _OVERALL, _at_least(_SMALLEST_SPREAD)
    yield _accuracy(gate.judge.accuracy), _OVERALL, _at_least(gate.min_accuracy)
    yield _regression(gate.judge.regression), _OVERALL, _change_at_least(-gate.max_regression)
    if gate.max_calibration_error is not None:
        yield "calibration_error", _OVERALL, _at_most(gate.max_calibration_error)
    for name, bound in _by_class(gate.min_recall):
        yield _accuracy(gate.judge.recall), _slicing(features.LABEL, name), _at_least(bound)
    for name, bound in _by_class(gate.max_recall_regression):
        yield _regression(gate.judge.regression), _slicing(features.LABEL, name), _change_at_least(-bound)
    for part in gate.slices:
        slicing = _slicing(part.feature, part.value)
        yield EXAMPLES, slicing, _at_least(part.min_examples)
        if part.min_accuracy is not None:
            yield _accuracy(gate.judge.accuracy), slicing, _at_least(part.min_accuracy)
        if part.max_regression is not None:
            yield _regression(gate.judge.regression), slicing, _change_at_least(-part.max_regression)


def _by_class(bounds: float | dict[str, float] | None) -> list[tuple[str | None, float]]:
    if isinstance(bounds, dict):
        return list(bounds.items())
    return [] if bounds is None else [(None, bounds)]


def _accuracy(judged: JudgedBy) -> str:
    return ACCURACY if judged == "value" else f"{ACCURACY}_{judged}"


def _regression(judged: JudgedBy) -> str:
    return CHANGE if judged == "value" else f"{CHANGE}_{judged}"


def _slicing(feature: str, value: str | None) -> tfma.SlicingSpec:
    return _each(feature) if value is None else tfma.SlicingSpec(feature_values={feature: value})


def _each(feature: str) -> tfma.SlicingSpec:
    return tfma.SlicingSpec(feature_keys=[feature])


def _at_least(bound: float) -> tfma.MetricThreshold:
    return tfma.MetricThreshold(value_threshold=tfma.GenericValueThreshold(lower_bound=_double(bound - ROUNDING)))


def _at_most(bound: float) -> tfma.MetricThreshold:
    return tfma.MetricThreshold(value_threshold=tfma.GenericValueThreshold(upper_bound=_double(bound + ROUNDING)))


def _change_at_least(bound: float) -> tfma.MetricThreshold:
    change = tfma.GenericChangeThreshold(
        absolute=_double(bound - ROUNDING), direction=tfma.MetricDirection.HIGHER_IS_BETTER
    )
    return tfma.MetricThreshold(change_threshold=change)


def _double(value: float) -> wrappers_pb2.DoubleValue:
    return wrappers_pb2.DoubleValue(value=value)
