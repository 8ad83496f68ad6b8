"""What the gate measures and TFMA hasn't: confidence bounds, calibration, sanity, and candidate against baseline.

All come from two tallies a slice, one of each model's own answers and one of both models' answers to the same images,
so that any number of metrics costs one pass. See https://www.tensorflow.org/tfx/model_analysis/metrics#custom_metrics.

Measures of one model, metric `Measure`:

| name                    | value                                                                                      |
|-------------------------|--------------------------------------------------------------------------------------------|
| `accuracy_lower`        | Wilson's lower bound of the accuracy, see modules/statistics.py                            |
| `accuracy_upper`        | its upper bound                                                                            |
| `calibration_error`     | expected calibration error: how far confidence and accuracy differ, 0 to 1                 |
| `valid`                 | share of images whose probabilities are all numbers from 0 to 1                            |
| `spread`                | how far any class's probability differs between two images, at most; 0: always one answer  |
| `rarest_class_examples` | images of the class that has the fewest, of all the model knows                            |

Measures of candidate and baseline, metric `Comparison`, all of them differences of the candidate from the baseline:

| name                          | value                                                                                |
|-------------------------------|--------------------------------------------------------------------------------------|
| `accuracy_change`             | accuracy of the candidate less that of the baseline                                  |
| `accuracy_change_lower`       | Tango's lower bound of that                                                          |
| `accuracy_change_upper`       | its upper bound                                                                      |
| `accuracy_change_probability` | p-value of McNemar's exact test that they are equally good                           |
| `disagreement`                | share of images on which only one of both is right                                   |
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_types, metric_util
from tensorflow_model_analysis.utils import model_util

from modules import statistics

# Naeini et al., https://ojs.aaai.org/index.php/AAAI/article/view/9602, and Guo et al., https://arxiv.org/abs/1706.04599
_CALIBRATION_BINS = 15
_ROUNDING = 1e-5  # that float32 may make of a probability


@dataclass(frozen=True)
class Tally:
    """Of one model's answers: counts, and for each class or bin of confidence an array of them."""

    right: int
    valid: int
    images_of_class: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray
    in_bin: np.ndarray
    right_in_bin: np.ndarray
    confidence_in_bin: np.ndarray

    @classmethod
    def of(cls, label: int, probabilities: np.ndarray) -> Tally:
        """One image's.

        Args:
          label: index of the true class; -1 if the model doesn't know it.
          probabilities: [classes].
        """
        valid = bool(((probabilities >= -_ROUNDING) & (probabilities <= 1 + _ROUNDING)).all())  # NaN is neither
        right = int(valid and int(np.argmax(probabilities)) == label)
        confidence = float(probabilities.max()) if valid else 0.0
        in_bin = np.zeros(_CALIBRATION_BINS)
        in_bin[min(int(confidence * _CALIBRATION_BINS), _CALIBRATION_BINS - 1)] = 1
        images_of_class = np.zeros(len(probabilities), int)
        if label >= 0:
            images_of_class[label] = 1
        shown = probabilities if valid else np.zeros_like(probabilities)
        return cls(right, int(valid), images_of_class, shown, shown, in_bin, right * in_bin, confidence * in_bin)

    def __add__(self, other: Tally) -> Tally:
        combine = {"lowest": np.minimum, "highest": np.maximum}
        names = [field.name for field in dataclasses.fields(self)]
        return Tally(*(combine.get(name, np.add)(getattr(self, name), getattr(other, name)) for name in names))

    @property
    def images(self) -> int:
        return int(self.in_bin.sum())

    @property
    def calibration_error(self) -> float:
        return float(np.abs(self.confidence_in_bin - self.right_in_bin).sum() / self.images)


@dataclass(frozen=True)
class PairedTally:
    """Of two models' answers to the same images: all, those only the candidate gets right, and only the baseline."""

    images: int
    gained: int
    lost: int

    def __add__(self, other: PairedTally) -> PairedTally:
        return PairedTally(self.images + other.images, self.gained + other.gained, self.lost + other.lost)


MEASURES: dict[str, Callable[[Tally, float], float]] = {
    "accuracy_lower": lambda tally, confidence: statistics.share_bounds(tally.right, tally.images, confidence)[0],
    "accuracy_upper": lambda tally, confidence: statistics.share_bounds(tally.right, tally.images, confidence)[1],
    "calibration_error": lambda tally, _: tally.calibration_error,
    "valid": lambda tally, _: tally.valid / tally.images,
    "spread": lambda tally, _: float((tally.highest - tally.lowest).max()),
    "rarest_class_examples": lambda tally, _: float(tally.images_of_class.min()),
}

COMPARISONS: dict[str, Callable[[PairedTally, float], float]] = {
    "accuracy_change": lambda tally, _: (tally.gained - tally.lost) / tally.images,
    "accuracy_change_lower": lambda tally, confidence: _change_bounds(tally, confidence)[0],
    "accuracy_change_upper": lambda tally, confidence: _change_bounds(tally, confidence)[1],
    "accuracy_change_probability": lambda tally, _: statistics.change_probability(tally.gained, tally.lost),
    "disagreement": lambda tally, _: (tally.gained + tally.lost) / tally.images,
}


def _change_bounds(tally: PairedTally, confidence: float) -> tuple[float, float]:
    return statistics.change_bounds(tally.gained, tally.lost, tally.images, confidence)


class Measure(metric_types.Metric):
    """A measure of one model's answers, by name; see the module's first table."""

    def __init__(self, name: str, confidence: float = 0.95):
        """Chooses the measure.

        Args:
          name: of the measure, and of the metric.
          confidence: of a bound.
        """
        _refuse_unknown(name, MEASURES)
        super().__init__(metric_util.merge_per_key_computations(_measured), name=name, confidence=confidence)


class Comparison(metric_types.Metric):
    """A measure of the candidate against the baseline, by name; see the module's second table.

    TFMA calls it a difference, whose thresholds are change thresholds; without a baseline there is none.
    """

    def __init__(self, name: str, confidence: float = 0.95):
        """Chooses the measure.

        Args:
          name: of the measure, and of the metric.
          confidence: of a bound.
        """
        _refuse_unknown(name, COMPARISONS)
        super().__init__(_compared, name=name, confidence=confidence)


metric_types.register_metric(Measure)
metric_types.register_metric(Comparison)


def _refuse_unknown(name: str, measures: Iterable[str]) -> None:
    if name not in measures:
        raise ValueError(f"name: one of {', '.join(measures)} is allowed. Received: {name!r}")


def _measured(
    name: str, confidence: float, eval_config: tfma.EvalConfig | None = None, model_name: str = ""
) -> metric_types.MetricComputations:
    tally = metric_types.MetricKey(name="_tally", model_name=model_name)
    key = metric_types.MetricKey(name=name, model_name=model_name)
    combiner = _Sum(tally, lambda inputs: Tally.of(*_answer(inputs, eval_config, model_name)))
    return _derived(tally, combiner, key, lambda counts: MEASURES[name](counts, confidence))


def _compared(
    name: str, confidence: float, eval_config: tfma.EvalConfig, model_names: Iterable[str], **_: Any
) -> metric_types.MetricComputations:
    baseline = model_util.get_baseline_model_spec(eval_config)
    if baseline is None:
        return []
    (candidate,) = (model_name for model_name in model_names if model_name != baseline.name)

    def paired(inputs: metric_types.StandardMetricInputs) -> PairedTally:
        right, was_right = (
            Tally.of(*_answer(inputs, eval_config, model_name)).right for model_name in (candidate, baseline.name)
        )
        return PairedTally(1, int(right > was_right), int(right < was_right))

    tally = metric_types.MetricKey(name="_paired_tally", model_name=candidate)
    key = metric_types.MetricKey(name=name, model_name=candidate, is_diff=True)
    return _derived(tally, _Sum(tally, paired), key, lambda counts: COMPARISONS[name](counts, confidence))


def _answer(
    inputs: metric_types.StandardMetricInputs, eval_config: tfma.EvalConfig | None, model_name: str
) -> tuple[int, np.ndarray]:
    ((label, probabilities, _),) = metric_util.to_label_prediction_example_weight(
        inputs, eval_config=eval_config, model_name=model_name, flatten=False, squeeze=False
    )
    return int(np.ravel(label)[0]), np.ravel(probabilities)


def _derived(
    tally: metric_types.MetricKey, combiner: _Sum, key: metric_types.MetricKey, measure: Callable[[Any], float]
) -> metric_types.MetricComputations:
    return [
        metric_types.MetricComputation(keys=[tally], preprocessors=None, combiner=combiner),
        metric_types.DerivedMetricComputation(keys=[key], result=lambda metrics: {key: measure(metrics[tally])}),
    ]


class _Sum(beam.CombineFn):
    """Adds up what each image counts; an accumulator is a list, empty before the first."""

    def __init__(self, key: metric_types.MetricKey, count: Callable[[metric_types.StandardMetricInputs], Any]):
        self._key, self._count = key, count

    def create_accumulator(self) -> list[Any]:
        return []

    def add_input(self, accumulator: list[Any], element: metric_types.StandardMetricInputs) -> list[Any]:
        return self._total([*accumulator, self._count(element)])

    def merge_accumulators(self, accumulators: Iterable[list[Any]]) -> list[Any]:
        return self._total([counts for accumulator in accumulators for counts in accumulator])

    def extract_output(self, accumulator: list[Any]) -> dict[metric_types.MetricKey, Any]:
        return {self._key: accumulator[0]} if accumulator else {}

    @staticmethod
    def _total(counts: list[Any]) -> list[Any]:
        return [sum(counts[1:], start=counts[0])] if counts else []
