"""The gate's two bounds on all test images, as a single run may be given them."""

from __future__ import annotations

import json

import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2

from components.evaluator.reading import ROUNDING

_ACCURACIES = ("accuracy", "accuracy_lower", "accuracy_upper")
_CHANGES = ("accuracy_change", "accuracy_change_lower", "accuracy_change_upper")


def replaced(eval_config: tfma.EvalConfig, min_accuracy: float | None, max_regression: float | None) -> tfma.EvalConfig:
    """A copy with other bounds on the overall accuracy and on its change; those of slices and classes stay.

    Args:
      eval_config: as pipeline/thresholds.py makes it.
      min_accuracy: lowest accuracy, [0, 1]; None: as it was.
      max_regression: how far the accuracy may lie below the baseline's, [0, 1]; None: as it was.
    """
    result = tfma.EvalConfig()
    result.CopyFrom(eval_config)
    for metric in result.metrics_specs[0].metrics:
        for bound in metric.per_slice_thresholds:
            if bound.slicing_specs[0] == tfma.SlicingSpec():
                _replace(bound.threshold, json.loads(metric.config)["name"], min_accuracy, max_regression)
    return result


def _replace(
    threshold: config_pb2.MetricThreshold, name: str, min_accuracy: float | None, max_regression: float | None
) -> None:
    if name in _CHANGES and max_regression is not None:
        threshold.change_threshold.absolute.value = -max_regression - ROUNDING
    elif name in _ACCURACIES and min_accuracy is not None:
        threshold.value_threshold.lower_bound.value = min_accuracy - ROUNDING
