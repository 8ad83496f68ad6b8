"""What changed since the version in production was trained, in words.

The version keeps the statistics and the schema of the facts about its training split (`serving_directory.DATA`). TFDV
measures how far the new ones are from them (https://www.tensorflow.org/tfx/data_validation/get_started#drift_skew).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import tfx  # noqa: F401  first: TFDV 1.16 imports a module that it stands in for

# isort: split
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from modules import features

FILE = "drift.json"
STOP, WARN, IGNORE = "stop", "warn", "ignore"
_MOST = 5  # names in a sentence
_TYPES = {features.HEIGHT: schema_pb2.INT, features.WIDTH: schema_pb2.INT, features.BRIGHTNESS: schema_pb2.FLOAT}


@dataclass(frozen=True)
class Finding:
    """One thing that changed.

    Attributes:
      feature: that it is about.
      said: in words.
      action: `stop` or `warn`.
    """

    feature: str
    said: str
    action: str


def find(
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
    kept: statistics_pb2.DatasetFeatureStatisticsList,
    kept_schema: schema_pb2.Schema,
    bounds: Mapping[str, Any],
) -> list[Finding]:
    """Holds new statistics against those of the version in production.

    Args:
      statistics: of the new training split.
      kept: of the training split that production was trained on.
      kept_schema: of the facts, then.
      bounds: the section `data.drift` of a configuration.

    Returns:
      what is beyond the bounds and not to be ignored.
    """
    new, old = _by_name(statistics), _by_name(kept)
    shares = _shares(new[features.LABEL]), _shares(old[features.LABEL])
    found = [*_of_classes(*shares, bounds), *_of_shares(*shares, bounds)]
    anomalies = tfdv.validate_statistics(statistics, _with_comparators(kept_schema, bounds), previous_statistics=kept)
    for name, distance in _distances(anomalies).items():
        found.append(Finding(name, _number_drift(name, new[name], old[name], distance), bounds["beyond"]))
    if more := sorted(set(_shares(new[features.FORMAT])) - set(_shares(old[features.FORMAT]))):
        said = f"formats that production was not trained on: {_names(more)}"
        found.append(Finding(features.FORMAT, said, bounds["new_formats"]))
    return [finding for finding in found if finding.action != IGNORE]


def load(path: str) -> statistics_pb2.DatasetFeatureStatisticsList:
    """The statistics in a file of StatisticsGen's."""
    return tfdv.load_stats_binary(path)


def dumps(found: list[Finding]) -> str:
    """As `drift.json` has them."""
    return json.dumps([asdict(finding) for finding in found], indent=2, ensure_ascii=False) + "\n"


def loads(text: str) -> list[Finding]:
    return [Finding(**row) for row in json.loads(text)]


def _of_classes(new: Mapping[str, float], old: Mapping[str, float], bounds: Mapping[str, Any]) -> list[Finding]:
    found = []
    if more := sorted(set(new) - set(old)):
        found.append(
            Finding(features.LABEL, f"classes that production doesn't know: {_names(more)}", bounds["new_classes"])
        )
    if less := sorted(set(old) - set(new)):
        said = f"classes that production knows and the data no longer has: {_names(less)}"
        found.append(Finding(features.LABEL, said, bounds["missing_classes"]))
    return found


def _of_shares(new: Mapping[str, float], old: Mapping[str, float], bounds: Mapping[str, Any]) -> list[Finding]:
    """Of the classes that both know: one that is new or missing is told of by itself."""
    both, bound = sorted(set(new) & set(old)), bounds["labels"]
    if bound is None or not both:
        return []
    totals = sum(new[name] for name in both), sum(old[name] for name in both)
    changes = {name: abs(new[name] / totals[0] - old[name] / totals[1]) for name in both}
    name = max(both, key=lambda label: changes[label])
    if changes[name] <= bound:
        return []
    said = (
        f"class {name!r} is {new[name]:.1%} of the training images, was {old[name]:.1%} "
        f"(a change of {bound:.0%} is allowed)"
    )
    return [Finding(features.LABEL, said, bounds["beyond"])]


def _with_comparators(schema: schema_pb2.Schema, bounds: Mapping[str, Any]) -> schema_pb2.Schema:
    """The schema, told what to measure; what a curated one doesn't mention is added."""
    compared = schema_pb2.Schema()
    compared.CopyFrom(schema)
    by_name = {feature.name: feature for feature in compared.feature}
    by_size = dict.fromkeys((features.HEIGHT, features.WIDTH), bounds["size"])
    for name, threshold in {**by_size, features.BRIGHTNESS: bounds["brightness"]}.items():
        feature = by_name.get(name) or compared.feature.add(name=name, type=_TYPES[name])
        feature.ClearField("drift_comparator")
        if threshold is not None:
            feature.drift_comparator.jensen_shannon_divergence.threshold = threshold
    return compared


def _distances(anomalies: anomalies_pb2.Anomalies) -> dict[str, anomalies_pb2.DriftSkewInfo.Measurement]:
    """What is beyond its threshold, by feature."""
    measured = {info.path.step[0]: info.drift_measurements[0] for info in anomalies.drift_skew_info}
    return {name: found for name, found in sorted(measured.items()) if found.value > found.threshold}


def _number_drift(name: str, new: Any, old: Any, distance: Any) -> str:
    what = name.removeprefix("image/")
    medians = new.num_stats.median, old.num_stats.median
    changed = "higher" if medians[0] > medians[1] else "lower" if medians[0] < medians[1] else "spread differently"
    return (
        f"{what} is {changed}: median {medians[0]:.3g}, was {medians[1]:.3g}; the distributions are "
        f"{distance.value:.2f} apart (0 is the same, 1 the most; {distance.threshold:g} is allowed)"
    )


def _by_name(statistics: statistics_pb2.DatasetFeatureStatisticsList) -> dict[str, Any]:
    return {feature.path.step[0] or feature.name: feature for feature in statistics.datasets[0].features}


def _shares(feature: Any) -> dict[str, float]:
    """Each value's share; all of them are in the histogram, since there are fewer than its buckets."""
    counts = {bucket.label: bucket.sample_count for bucket in feature.string_stats.rank_histogram.buckets}
    total = sum(counts.values()) or 1.0
    return {label: count / total for label, count in counts.items()}


def _names(names: list[str]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(map(repr, names[:_MOST])) + more
