"""The gate's metrics that TFMA lacks: confidence bounds, calibration, sanity checks, and candidate against baseline.

All are computed from two tallies per slice: one of each model's own answers, and one of both models' answers to the
same images. So any number of metrics costs one pass over the images. `metric_names.Metric` explains each name. See
https://www.tensorflow.org/tfx/model_analysis/metrics#custom_metrics.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_types, metric_util
from tensorflow_model_analysis.utils import model_util

from components.evaluator.confidence import change_bounds, change_probability, share_bounds
from components.evaluator.figures import CALIBRATION_BINS
from components.evaluator.metric_names import Metric
from components.evaluator.predictions import FLOAT32_ERROR
from modules.serving import signatures
from modules.serving.novelty_threshold import THRESHOLD

_SMALLEST_PROBABILITY = 1e-30  # below, the rounding of float32 is coarse


@dataclass(frozen=True)
class Tally:
    """Counts over one model's answers. Arrays have one element per class or per bin of confidence."""

    correct: int
    valid: int
    images_of_class: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray
    in_bin: np.ndarray
    correct_in_bin: np.ndarray
    confidence_in_bin: np.ndarray
    with_novelty: int
    rejected: int

    @classmethod
    def of(cls, label: int, probabilities: np.ndarray, novelty: float | None = None) -> Tally:
        """The tally of one image.

        Args:
          label: index of the true class; -1 if the model does not know it.
          probabilities: [classes].
          novelty: how unlike the training images the model calls it, in [0, 1]; None if it does not answer that.
        """
        # NaN is neither at least 0 nor at most 1.
        valid = bool(((probabilities >= -FLOAT32_ERROR) & (probabilities <= 1 + FLOAT32_ERROR)).all())
        correct = int(valid and int(np.argmax(probabilities)) == label)
        confidence = float(probabilities.max()) if valid else 0.0
        in_bin = np.zeros(CALIBRATION_BINS)
        in_bin[min(int(confidence * CALIBRATION_BINS), CALIBRATION_BINS - 1)] = 1
        images_of_class = np.zeros(len(probabilities), int)
        if label >= 0:
            images_of_class[label] = 1
        numbers = probabilities if valid else np.zeros_like(probabilities)
        of_bins = (in_bin, correct * in_bin, confidence * in_bin)
        rejected = novelty is not None and not novelty <= THRESHOLD  # a NaN is rejected
        return cls(
            correct, int(valid), images_of_class, numbers, numbers, *of_bins, int(novelty is not None), int(rejected)
        )

    def __add__(self, other: Tally) -> Tally:
        combine = {"lowest": np.minimum, "highest": np.maximum}
        names = [field.name for field in dataclasses.fields(self)]
        return Tally(*(combine.get(name, np.add)(getattr(self, name), getattr(other, name)) for name in names))

    @property
    def images(self) -> int:
        return int(self.in_bin.sum())

    @property
    def calibration_error(self) -> float:
        return float(np.abs(self.confidence_in_bin - self.correct_in_bin).sum() / self.images)


@dataclass(frozen=True)
class PairedTally:
    """Counts over two models' answers to the same images.

    Attributes:
      images: all images.
      gained: images that only the candidate classifies correctly.
      lost: images that only the baseline classifies correctly.
      difference: largest difference of the logarithm of a probability; infinite if the models have not the same number
        of classes, or answer with a number that is not a probability.
    """

    images: int
    gained: int
    lost: int
    difference: float

    @classmethod
    def of(cls, label: int, probabilities: np.ndarray, baseline_label: int, baseline: np.ndarray) -> PairedTally:
        """The tally of one image.

        Args:
          label: index of the true class for the candidate.
          probabilities: the candidate's, [classes].
          baseline_label: index of the true class for the baseline.
          baseline: its probabilities, [its classes].
        """
        correct = Tally.of(label, probabilities).correct
        was_correct = Tally.of(baseline_label, baseline).correct
        difference = _log_difference(probabilities, baseline)
        return cls(1, int(correct > was_correct), int(correct < was_correct), difference)

    def __add__(self, other: PairedTally) -> PairedTally:
        return PairedTally(
            self.images + other.images,
            self.gained + other.gained,
            self.lost + other.lost,
            max(self.difference, other.difference),
        )


def _log_difference(one: np.ndarray, other: np.ndarray) -> float:
    """Differences are those of logarithms: probabilities of easy images are near 0 and 1 whatever the model is."""
    if one.shape != other.shape:
        return math.inf
    with np.errstate(invalid="ignore", divide="ignore"):
        logarithms = [np.log(np.maximum(values.astype(np.float64), _SMALLEST_PROBABILITY)) for values in (one, other)]
        difference = float(np.abs(logarithms[0] - logarithms[1]).max())
    return math.inf if math.isnan(difference) else difference


MEASURES: dict[Metric, Callable[[Tally, float], float | None]] = {
    Metric.ACCURACY_LOWER: lambda tally, confidence: share_bounds(tally.correct, tally.images, confidence)[0],
    Metric.ACCURACY_UPPER: lambda tally, confidence: share_bounds(tally.correct, tally.images, confidence)[1],
    Metric.CALIBRATION_ERROR: lambda tally, _: tally.calibration_error,
    Metric.VALID: lambda tally, _: tally.valid / tally.images,
    Metric.SPREAD: lambda tally, _: float((tally.highest - tally.lowest).max()),
    Metric.RAREST_CLASS_EXAMPLES: lambda tally, _: float(tally.images_of_class.min()),
    Metric.FALSE_REJECTS: lambda tally, _: _if_measured(tally, lambda: tally.rejected / tally.images),
    Metric.FALSE_REJECTS_LOWER: lambda tally, confidence: _if_measured(
        tally, lambda: share_bounds(tally.rejected, tally.images, confidence)[0]
    ),
    Metric.FALSE_REJECTS_UPPER: lambda tally, confidence: _if_measured(
        tally, lambda: share_bounds(tally.rejected, tally.images, confidence)[1]
    ),
}

COMPARISONS: dict[Metric, Callable[[PairedTally, float], float]] = {
    Metric.ACCURACY_CHANGE: lambda tally, _: (tally.gained - tally.lost) / tally.images,
    Metric.ACCURACY_CHANGE_LOWER: lambda tally, confidence: _change_bounds(tally, confidence)[0],
    Metric.ACCURACY_CHANGE_UPPER: lambda tally, confidence: _change_bounds(tally, confidence)[1],
    Metric.ACCURACY_CHANGE_PROBABILITY: lambda tally, _: change_probability(tally.gained, tally.lost),
    Metric.LARGEST_DIFFERENCE: lambda tally, _: tally.difference,
    Metric.DISAGREEMENT: lambda tally, _: (tally.gained + tally.lost) / tally.images,
}


def _if_measured(tally: Tally, measure: Callable[[], float]) -> float | None:
    """None if the model did not answer with the novelty of every image: then no threshold on the metric is met."""
    return measure() if tally.with_novelty == tally.images else None


def _change_bounds(tally: PairedTally, confidence: float) -> tuple[float, float]:
    return change_bounds(tally.gained, tally.lost, tally.images, confidence)


class Measure(metric_types.Metric):
    """A metric of one model's answers, from `MEASURES`."""

    def __init__(self, name: str, confidence: float = 0.95):
        """Chooses the metric.

        Args:
          name: a key of `MEASURES`.
          confidence: of a confidence bound.
        """
        _check_name(name, MEASURES)
        super().__init__(metric_util.merge_per_key_computations(_measured), name=name, confidence=confidence)


class Comparison(metric_types.Metric):
    """A metric that compares the candidate with the baseline, from `COMPARISONS`.

    TFMA treats it as a difference, which has change thresholds. It has no value without a baseline.
    """

    def __init__(self, name: str, confidence: float = 0.95):
        """Chooses the metric.

        Args:
          name: a key of `COMPARISONS`.
          confidence: of a confidence bound.
        """
        _check_name(name, COMPARISONS)
        super().__init__(_compared, name=name, confidence=confidence)


metric_types.register_metric(Measure)
metric_types.register_metric(Comparison)


def _check_name(name: str, allowed: Iterable[str]) -> None:
    if name not in set(allowed):
        raise ValueError(f"name: one of {', '.join(allowed)} is allowed. Received: {name!r}")


def _measured(
    name: str, confidence: float, eval_config: tfma.EvalConfig | None = None, model_name: str = ""
) -> metric_types.MetricComputations:
    tally = metric_types.MetricKey(name="_tally", model_name=model_name)
    key = metric_types.MetricKey(name=name, model_name=model_name)

    def counted(inputs: metric_types.StandardMetricInputs) -> Tally:
        return Tally.of(*_answer(inputs, eval_config, model_name), _novelty(inputs, model_name))

    combiner = _Sum(tally, counted)
    return _derived(tally, combiner, key, lambda counts: MEASURES[Metric(name)](counts, confidence))


def _compared(
    name: str, confidence: float, eval_config: tfma.EvalConfig, model_names: Iterable[str], **_: Any
) -> metric_types.MetricComputations:
    baseline = model_util.get_baseline_model_spec(eval_config)
    if baseline is None:
        return []
    (candidate,) = (model_name for model_name in model_names if model_name != baseline.name)

    def paired(inputs: metric_types.StandardMetricInputs) -> PairedTally:
        return PairedTally.of(*_answer(inputs, eval_config, candidate), *_answer(inputs, eval_config, baseline.name))

    tally = metric_types.MetricKey(name="_paired_tally", model_name=candidate)
    key = metric_types.MetricKey(name=name, model_name=candidate, is_diff=True)
    return _derived(tally, _Sum(tally, paired), key, lambda counts: COMPARISONS[Metric(name)](counts, confidence))


def _answer(
    inputs: metric_types.StandardMetricInputs, eval_config: tfma.EvalConfig | None, model_name: str
) -> tuple[int, np.ndarray]:
    """Index of the true class, and the model's probabilities."""
    ((label, probabilities, _),) = metric_util.to_label_prediction_example_weight(
        inputs, eval_config=eval_config, model_name=model_name, flatten=False, squeeze=False
    )
    return int(np.ravel(label)[0]), np.ravel(probabilities)


def _novelty(inputs: metric_types.StandardMetricInputs, model_name: str) -> float | None:
    """The model's output `novelty`; None if it has none, as models of Regraft 0.4 and before."""
    answers = inputs.prediction
    answers = answers.get(model_name, answers)  # by model, if there are several
    return float(np.ravel(answers[signatures.NOVELTY])[0]) if signatures.NOVELTY in answers else None


def _derived(
    tally: metric_types.MetricKey, combiner: _Sum, key: metric_types.MetricKey, measure: Callable[[Any], float | None]
) -> metric_types.MetricComputations:
    def result(metrics: dict[metric_types.MetricKey, Any]) -> dict[metric_types.MetricKey, float]:
        value = measure(metrics[tally])
        return {} if value is None else {key: value}

    return [
        metric_types.MetricComputation(keys=[tally], preprocessors=None, combiner=combiner),
        metric_types.DerivedMetricComputation(keys=[key], result=result),
    ]


class _Sum(beam.CombineFn):
    """Adds up the tallies of all images. An accumulator is a list of one tally, or empty before the first image."""

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
