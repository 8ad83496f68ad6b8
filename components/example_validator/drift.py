"""What changed since the version in production was trained, in sentences.

The version has the statistics and the schema of the facts about its training split (`serving_directory.DataRecord`).
TensorFlow Data Validation computes the distance of the new statistics from them
(https://www.tensorflow.org/tfx/data_validation/get_started#drift_skew).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tfx  # noqa: F401  first: it replaces a module that TFDV 1.16 imports, on Python 3.11

# isort: split
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from components.example_validator.drift_findings import Finding
from config.data import Action, DriftConfig
from config.errors import listed
from modules.data import features

STOP: Action = "stop"
WARN: Action = "warn"
IGNORE: Action = "ignore"
_TYPES = {features.HEIGHT: schema_pb2.INT, features.WIDTH: schema_pb2.INT, features.BRIGHTNESS: schema_pb2.FLOAT}


def find(
    new: statistics_pb2.DatasetFeatureStatisticsList,
    production: statistics_pb2.DatasetFeatureStatisticsList,
    schema: schema_pb2.Schema,
    bounds: DriftConfig,
) -> list[Finding]:
    """Compares new statistics with those of the version in production.

    Args:
      new: statistics of the new training split.
      production: statistics of the training split of the version in production.
      schema: of the facts about production's images.
      bounds: what may have changed.

    Returns:
      the changes beyond the bounds, without those to ignore.
    """
    new_features, old_features = _by_name(new), _by_name(production)
    shares = _shares(new_features[features.LABEL]), _shares(old_features[features.LABEL])
    findings = [*_class_changes(*shares, bounds), *_share_changes(*shares, bounds)]
    anomalies = tfdv.validate_statistics(new, _with_comparators(schema, bounds), previous_statistics=production)
    for name, distance in _distances(anomalies).items():
        message = _number_change(name, new_features[name], old_features[name], distance)
        findings.append(Finding(name, message, bounds.beyond))
    formats = _shares(new_features[features.FORMAT]), _shares(old_features[features.FORMAT])
    if added := sorted(set(formats[0]) - set(formats[1])):
        message = f"new formats, which production was not trained on: {listed(map(repr, added))}"
        findings.append(Finding(features.FORMAT, message, bounds.new_formats))
    return [finding for finding in findings if finding.action != IGNORE]


def load(path: str) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Reads statistics that StatisticsGen wrote."""
    return tfdv.load_stats_binary(path)


def _class_changes(new: Mapping[str, float], old: Mapping[str, float], bounds: DriftConfig) -> list[Finding]:
    findings = []
    if added := sorted(set(new) - set(old)):
        message = f"new classes, which production does not know: {listed(map(repr, added))}"
        findings.append(Finding(features.LABEL, message, bounds.new_classes))
    if missing := sorted(set(old) - set(new)):
        message = f"missing classes, which production knows: {listed(map(repr, missing))}"
        findings.append(Finding(features.LABEL, message, bounds.missing_classes))
    return findings


def _share_changes(new: Mapping[str, float], old: Mapping[str, float], bounds: DriftConfig) -> list[Finding]:
    """Among the classes that both know; new and missing classes have findings of their own."""
    both, bound = sorted(set(new) & set(old)), bounds.labels
    if bound is None or not both:
        return []
    totals = sum(new[name] for name in both), sum(old[name] for name in both)
    changes = {name: abs(new[name] / totals[0] - old[name] / totals[1]) for name in both}
    name = max(both, key=lambda label: changes[label])
    if changes[name] <= bound:
        return []
    message = (
        f"class {name!r} has {new[name]:.1%} of the training images, {old[name]:.1%} in production's data; "
        f"data.drift.labels allows a change of {bound:.0%}"
    )
    return [Finding(features.LABEL, message, bounds.beyond)]


def _with_comparators(schema: schema_pb2.Schema, bounds: DriftConfig) -> schema_pb2.Schema:
    """A copy of the schema that makes TFDV compute the distances. Features that a curated schema lacks are added."""
    compared = schema_pb2.Schema()
    compared.CopyFrom(schema)
    by_name = {feature.name: feature for feature in compared.feature}
    by_size = dict.fromkeys((features.HEIGHT, features.WIDTH), bounds.size)
    for name, threshold in {**by_size, features.BRIGHTNESS: bounds.brightness}.items():
        feature = by_name.get(name) or compared.feature.add(name=name, type=_TYPES[name])
        feature.ClearField("drift_comparator")
        if threshold is not None:
            feature.drift_comparator.jensen_shannon_divergence.threshold = threshold
    return compared


def _distances(anomalies: anomalies_pb2.Anomalies) -> dict[str, anomalies_pb2.DriftSkewInfo.Measurement]:
    """Distances beyond their threshold, by feature."""
    measured = {info.path.step[0]: info.drift_measurements[0] for info in anomalies.drift_skew_info}
    return {name: distance for name, distance in sorted(measured.items()) if distance.value > distance.threshold}


def _number_change(name: str, new: Any, old: Any, distance: anomalies_pb2.DriftSkewInfo.Measurement) -> str:
    medians = new.num_stats.median, old.num_stats.median
    change = "is higher" if medians[0] > medians[1] else "is lower" if medians[0] < medians[1] else "varies differently"
    return (
        f"{name.removeprefix('image/')} {change}: median {medians[0]:.3g}, in production's data {medians[1]:.3g}; the "
        f"distance of the distributions is {distance.value:.2f} on a scale from 0 to 1, and {distance.threshold:g} is "
        "allowed"
    )


def _by_name(statistics: statistics_pb2.DatasetFeatureStatisticsList) -> dict[str, Any]:
    return {feature.path.step[0] or feature.name: feature for feature in statistics.datasets[0].features}


def _shares(feature: Any) -> dict[str, float]:
    """The share of each value. The histogram has all values, since they are fewer than its buckets."""
    counts = {bucket.label: bucket.sample_count for bucket in feature.string_stats.rank_histogram.buckets}
    total = sum(counts.values()) or 1.0
    return {label: count / total for label, count in counts.items()}
