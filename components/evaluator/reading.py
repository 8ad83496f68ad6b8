"""Reads TFMA's files: what it measured on every slice, and which thresholds it found missed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_specs, metric_types
from tensorflow_model_analysis.proto import metrics_for_slice_pb2, validation_result_pb2
from tensorflow_model_analysis.slicer import slicer_lib

from components.evaluator.verdict import OVERALL, Change, Check, ClassFigures, Verdict

# TFMA has accuracies in float32, where 19 right of 20 is a little less than 0.95: thresholds are this much wider than
# the bounds they stand for, see pipeline/thresholds.py. No image is worth as little.
ROUNDING = 1e-6
_DIGITS = 9  # of a bound

_CONFUSION = "confusion"
_EXAMPLES = "example_count"


def read(evaluation: str, classes: Sequence[str]) -> Verdict:
    """Reads what the Evaluator wrote.

    Args:
      evaluation: folder of the ModelEvaluation artifact.
      classes: the candidate's, by index.
    """
    config = tfma.load_eval_result(evaluation).config
    metrics = {_slice_of(found): _values(found) for found in tfma.load_metrics(evaluation)}
    overall = _Slice(metrics.get((), {}), _candidate(config))
    result = tfma.load_validation_result(evaluation)
    return Verdict(
        blessed=result.validation_ok,
        examples=int(overall.number(_EXAMPLES) or 0),
        accuracy=overall.number("accuracy"),
        accuracy_bounds=(overall.number("accuracy_lower") or 0.0, overall.number("accuracy_upper") or 1.0),
        change=_change(overall),
        confidence=_confidence(config),
        checks=list(_checks(config, metrics, _failed(result))),
        per_class=_per_class(overall.values.get((overall.model, _CONFUSION, False)), classes),
    )


_Key = tuple[str, str, bool]  # model name, metric name, whether it is candidate less baseline
_Values = Mapping[_Key, metrics_for_slice_pb2.MetricValue]
_SliceKey = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Slice:
    """The metrics of one slice; those of the candidate are asked for by name."""

    values: _Values
    model: str

    def number(self, name: str, is_diff: bool = False) -> float | None:
        value = self.values.get((self.model, name, is_diff))
        return None if value is None else value.double_value.value


def _change(overall: _Slice) -> Change | None:
    names = ("accuracy_change", "accuracy_change_lower", "accuracy_change_upper", "accuracy_change_probability")
    found = [overall.number(name, is_diff=True) for name in (*names, "disagreement")]
    return None if None in found else Change(*found)  # type: ignore[arg-type]


def _candidate(config: tfma.EvalConfig) -> str:
    return next(spec.name for spec in config.model_specs if not spec.is_baseline)


def _confidence(config: tfma.EvalConfig) -> float:
    settings = [json.loads(metric.config) for spec in config.metrics_specs for metric in spec.metrics]
    return next(float(found["confidence"]) for found in settings if found["name"] == "accuracy_lower")


def _slice_of(found: metrics_for_slice_pb2.MetricsForSlice) -> _SliceKey:
    key = slicer_lib.deserialize_slice_key(found.slice_key)
    return tuple((str(feature), str(value)) for feature, value in key)


def _values(found: metrics_for_slice_pb2.MetricsForSlice) -> _Values:
    return {(e.key.model_name, e.key.name, e.key.is_diff): e.value for e in found.metric_keys_and_values}


def _failed(result: validation_result_pb2.ValidationResult) -> set[tuple[_SliceKey, str, bool]]:
    """Slice, metric name, and whether it is candidate less baseline, of every threshold that TFMA found missed."""
    return {
        (tuple((str(f), str(v)) for f, v in slicer_lib.deserialize_slice_key(validated.slice_key)), *key)
        for validated in result.metric_validations_per_slice
        for key in {(failure.metric_key.name, failure.metric_key.is_diff) for failure in validated.failures}
    }


def _checks(
    config: tfma.EvalConfig, metrics: Mapping[_SliceKey, _Values], failed: set[tuple[_SliceKey, str, bool]]
) -> Iterator[Check]:
    """Every threshold on every slice that it is about, and on none if there is no such slice."""
    model = _candidate(config)
    thresholds = metric_specs.metric_thresholds_from_metrics_specs(config.metrics_specs, eval_config=config)
    wanted = [(key, spec, threshold) for key, pairs in thresholds.items() for spec, threshold in pairs]
    wanted = [found for found in wanted if found[0].model_name == model]
    for key, spec, threshold in sorted(wanted, key=lambda found: bool(found[1] and found[1].ByteSize())):
        about = slicer_lib.SingleSliceSpec(spec=spec)
        slices = [found for found in sorted(metrics) if about.is_slice_applicable(found)]
        for found in slices:
            value = _Slice(metrics[found], model).number(key.name, key.is_diff)
            passed = value is not None and (found, key.name, key.is_diff) not in failed
            yield _check(key, _shown(found), value, threshold, passed)
        if not slices:
            yield _check(key, _described(spec), None, threshold, passed=False)


def _check(
    key: metric_types.MetricKey,
    slice_: str,
    value: float | None,
    threshold: tfma.GenericValueThreshold | tfma.GenericChangeThreshold,
    passed: bool,
) -> Check:
    name, _, judged = key.name.rpartition("_")
    if judged not in ("lower", "upper"):
        name, judged = key.name, "value"
    if isinstance(threshold, tfma.GenericChangeThreshold):
        wanted, bound = "at least", threshold.absolute.value + ROUNDING
    elif threshold.HasField("lower_bound"):
        wanted, bound = "at least", threshold.lower_bound.value + ROUNDING
    else:
        wanted, bound = "at most", threshold.upper_bound.value - ROUNDING
    return Check(name, slice_, judged, value, wanted, round(bound, _DIGITS), passed)


def _shown(key: _SliceKey) -> str:
    return ", ".join(f"{feature}={value}" for feature, value in key) or OVERALL


def _described(spec: tfma.SlicingSpec) -> str:
    values = [f"{feature}={value}" for feature, value in spec.feature_values.items()]
    return ", ".join([*(f"{feature}=any" for feature in spec.feature_keys), *values]) or OVERALL


def _per_class(value: metrics_for_slice_pb2.MetricValue | None, classes: Sequence[str]) -> dict[str, ClassFigures]:
    if value is None:
        return {}
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
        classes[index]: ClassFigures(
            recall=right[index] / actual[index] if actual[index] else None,
            precision=right[index] / predicted[index] if predicted[index] else None,
            examples=actual[index],
        )
        for index in sorted(actual.keys() | predicted.keys())
    }
