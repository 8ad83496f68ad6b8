"""Rows of the reports on clusters of similar images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam

from components.image_example_gen import report, report_writer

_SHOWN = 20  # paths per split and cluster


def describe(cluster: tuple[str, Iterable[tuple[str, str, str]]]) -> Iterator[beam.pvalue.TaggedOutput]:
    """The row of a cluster, see `report`; also for `near_duplicates.jsonl`, if it belongs there.

    Args:
      cluster: its name, and split, label and path of each image.
    """
    row = _make_row(sorted(cluster[1]))
    yield report_writer.to(report_writer.CLUSTERS, row)
    if len(row["images"]) > 1 or len(row["labels"]) > 1:
        yield report_writer.to(report.NEAR_DUPLICATES, row)


def _make_row(members: list[tuple[str, str, str]]) -> dict[str, Any]:
    images = Counter(split for split, _, _ in members)
    # Paths of every split and label, so that a person can compare the images.
    paths = {split: [path for other, _, path in members if other == split][:_SHOWN] for split in images}
    labels = Counter(sorted(label for _, label, _ in members))
    examples = {label: min(path for _, other, path in members if other == label) for label in labels}
    return {
        **{"path": members[0][2], "images": dict(images), "labels": list(labels), "paths": paths},
        **{"images_of_labels": dict(labels), "examples": examples},
    }
