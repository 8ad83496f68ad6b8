"""Reads the files that TFMA writes: the metrics of every slice, and the thresholds that were not reached."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_specs, metric_types
from tensorflow_model_analysis.proto import metrics_for_slice_pb2, validation_result_pb2
from tensorflow_model_analysis.slicer import slicer_lib

from components.evaluator import thresholds
from components.evaluator.figures import EvaluationFigures, SliceFigures
from components.evaluator.metric_names import Metric
from components.evaluator.verdict import OVERALL, Change, Check, ClassFigures, Verdict


def read(evaluation: str, classes: Sequence[str], confidence: float) -> Verdict:
    """Reads the verdict on a candidate.

    Args:
      evaluation: folder of the ModelEvaluation artifact.
      classes: the candidate's class names, by index.
      confidence: of the confidence bounds among the metrics.
    """
    config = tfma.load_eval_result(evaluation).config
    metrics = {_slice_key(part): _values(part) for part in tfma.load_metrics(evaluation)}
    overall = _Slice(metrics.get((), {}), _candidate(config))
    result = tfma.load_validation_result(evaluation)
    return Verdict(
        blessed=result.validation_ok,
        examples=int(overall.number(Metric.EXAMPLE_COUNT) or 0),
        accuracy=overall.number(Metric.ACCURACY),
        accuracy_bounds=overall.accuracy_bounds,
        change=_change(overall),
        confidence=confidence,
        checks=list(_checks(config, metrics, _failed(result))),
        largest_difference=_finite(overall.number(Metric.LARGEST_DIFFERENCE, is_diff=True)),
        false_rejects=overall.number(Metric.FALSE_REJECTS),
        per_class=_per_class(overall.values.get((overall.model, Metric.CONFUSION, False)), classes),
    )


def read_figures(evaluation: str, classes: int) -> EvaluationFigures:
    """Reads what a person looks at, beside the verdict.

    Args:
      evaluation: folder of the ModelEvaluation artifact.
      classes: how many the candidate knows.

    Raises:
      FileNotFoundError: if TFMA's files are gone.
    """
    config = tfma.load_eval_result(evaluation).config
    if config is None:
        raise FileNotFoundError(f"{evaluation}: it has no files of TFMA")
    model = _candidate(config)
    slices = {_slice_key(part): _Slice(_values(part), model) for part in tfma.load_metrics(evaluation)}
    matrix = np.zeros((classes, classes), np.int64)
    for label, answer, images in _entries(slices[()].values.get((model, Metric.CONFUSION, False))):
        matrix[label, answer] += images
    return EvaluationFigures(matrix, [_slice_figures(key, slices[key]) for key in sorted(slices)])


_Key = tuple[str, str, bool]  # model name, metric name, whether the value is the candidate's minus the baseline's
_Values = Mapping[_Key, metrics_for_slice_pb2.MetricValue]
_SliceKey = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Slice:
    """The metrics of one slice, and the candidate's name in them."""

    values: _Values
    model: str

    def number(self, name: str, is_diff: bool = False) -> float | None:
        """A metric of the candidate."""
        value = self.values.get((self.model, name, is_diff))
        return None if value is None else value.double_value.value

    @property
    def accuracy_bounds(self) -> tuple[float, float]:
        """Of the candidate."""
        return self.number(Metric.ACCURACY_LOWER) or 0.0, self.number(Metric.ACCURACY_UPPER) or 1.0


def _slice_figures(key: _SliceKey, part: _Slice) -> SliceFigures:
    return SliceFigures(
        _shown(key),
        int(part.number(Metric.EXAMPLE_COUNT) or 0),
        part.number(Metric.ACCURACY),
        part.accuracy_bounds,
        _change(part),
        part.number(Metric.CALIBRATION_ERROR),
    )


def _change(overall: _Slice) -> Change | None:
    numbers = [
        overall.number(metric, is_diff=True)
        for metric in (
            Metric.ACCURACY_CHANGE,
            Metric.ACCURACY_CHANGE_LOWER,
            Metric.ACCURACY_CHANGE_UPPER,
            Metric.ACCURACY_CHANGE_PROBABILITY,
            Metric.DISAGREEMENT,
        )
    ]
    return None if None in numbers else Change(*numbers)  # type: ignore[arg-type]


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def _candidate(config: tfma.EvalConfig) -> str:
    return next(spec.name for spec in config.model_specs if not spec.is_baseline)


def _slice_key(
    part: metrics_for_slice_pb2.MetricsForSlice | validation_result_pb2.MetricsValidationForSlice,
) -> _SliceKey:
    key = slicer_lib.deserialize_slice_key(part.slice_key)
    return tuple((str(feature), str(value)) for feature, value in key)


def _values(part: metrics_for_slice_pb2.MetricsForSlice) -> _Values:
    return {(e.key.model_name, e.key.name, e.key.is_diff): e.value for e in part.metric_keys_and_values}


def _failed(result: validation_result_pb2.ValidationResult) -> set[tuple[_SliceKey, str, bool]]:
    """Slice, metric name, and whether the value is a difference, of every threshold that was not reached."""
    return {
        (_slice_key(validated), failure.metric_key.name, failure.metric_key.is_diff)
        for validated in result.metric_validations_per_slice
        for failure in validated.failures
    }


def _checks(
    config: tfma.EvalConfig, metrics: Mapping[_SliceKey, _Values], failed: set[tuple[_SliceKey, str, bool]]
) -> Iterator[Check]:
    """One check for every threshold and every slice that it applies to. It fails if no slice has images."""
    model = _candidate(config)
    by_metric = metric_specs.metric_thresholds_from_metrics_specs(config.metrics_specs, eval_config=config)
    wanted = [
        (key, spec, threshold)
        for key, pairs in by_metric.items()
        if key.model_name == model
        for spec, threshold in pairs
    ]
    for key, spec, threshold in sorted(wanted, key=lambda check: bool(check[1] and check[1].ByteSize())):
        applies_to = slicer_lib.SingleSliceSpec(spec=spec)
        slices = [part for part in sorted(metrics) if applies_to.is_slice_applicable(part)]
        for part in slices:
            value = _Slice(metrics[part], model).number(key.name, key.is_diff)
            passed = value is not None and (part, key.name, key.is_diff) not in failed
            yield _check(key, _shown(part), value, threshold, passed)
        if not slices:
            yield _check(key, _described(spec), None, threshold, passed=False)


def _check(
    key: metric_types.MetricKey,
    slice_: str,
    value: float | None,
    threshold: tfma.GenericValueThreshold | tfma.GenericChangeThreshold,
    passed: bool,
) -> Check:
    metric, judged = Metric(key.name).unjudged()
    wanted, bound = thresholds.bound_of(threshold)
    return Check(metric, slice_, judged, value, wanted, bound, passed)


def _shown(key: _SliceKey) -> str:
    return ", ".join(f"{feature}={value}" for feature, value in key) or OVERALL


def _described(spec: tfma.SlicingSpec) -> str:
    values = [f"{feature}={value}" for feature, value in spec.feature_values.items()]
    return ", ".join([*(f"{feature}=any" for feature in spec.feature_keys), *values]) or OVERALL


def _per_class(value: metrics_for_slice_pb2.MetricValue | None, classes: Sequence[str]) -> dict[str, ClassFigures]:
    actual: Counter[int] = Counter()
    predicted: Counter[int] = Counter()
    correct: Counter[int] = Counter()
    for label, answer, images in _entries(value):
        actual[label] += images
        predicted[answer] += images
        if label == answer:
            correct[label] += images
    return {
        classes[index]: ClassFigures(
            recall=correct[index] / actual[index] if actual[index] else None,
            precision=correct[index] / predicted[index] if predicted[index] else None,
            examples=actual[index],
        )
        for index in sorted(actual.keys() | predicted.keys())
    }


def _entries(value: metrics_for_slice_pb2.MetricValue | None) -> Iterator[tuple[int, int, int]]:
    """True class, answer and number of images of each cell of a confusion matrix that is not empty."""
    if value is not None:
        (matrix,) = value.multi_class_confusion_matrix_at_thresholds.matrices
        for entry in matrix.entries:
            yield entry.actual_class_id, entry.predicted_class_id, round(entry.num_weighted_examples)
