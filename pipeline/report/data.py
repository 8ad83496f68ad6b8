"""The section about the data: classes in each split, contact sheets, and images that something is wrong with."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.example_validator import drift_findings
from components.image_example_gen import report
from config.stages import EXAMPLE_VALIDATOR
from pipeline import remains
from pipeline.report import charts, pictures
from pipeline.report.album import Album
from pipeline.report.charts import Chart
from pipeline.report.run import ReportedRun

MOST_ROWS = 40  # of quarantined images, duplicates and images with next to no content
_MOST_CLUSTERS, _MOST_OF_CLUSTER = 20, 6
_SHEETS, _MOST_OF_SHEET = 240, 12  # pictures on all contact sheets, and of one class
_MOST_BARS = 40


@dataclass(frozen=True)
class Cluster:
    """Images that look alike, in several splits or with several labels.

    Attributes:
      images: split and path of some of them.
      splits, labels: name to number of images.
    """

    images: Sequence[tuple[str, str]]
    splits: Mapping[str, int]
    labels: Mapping[str, int]


@dataclass(frozen=True)
class Findings:
    """What ImageExampleGen reported of single images; lists are cut, the counts have the totals.

    Attributes:
      quarantine: rows of quarantine.jsonl.
      quarantine_pictures: path to picture.
      duplicates: rows of duplicates.jsonl.
      clusters: near-duplicates.
      cluster_total: how many clusters there are.
      little_content: rows of little_content.jsonl.
    """

    quarantine: Sequence[Mapping[str, Any]]
    quarantine_pictures: Mapping[str, str]
    duplicates: Sequence[Mapping[str, Any]]
    clusters: Sequence[Cluster]
    cluster_total: int
    little_content: Sequence[Mapping[str, Any]]

    @property
    def paths(self) -> set[str]:
        """Of all images whose pictures are shown, and which are examples."""
        of_clusters = {path for cluster in self.clusters for _, path in cluster.images}
        return of_clusters | {row["path"] for row in self.little_content}


def findings(run: ReportedRun) -> Findings:
    """Reads the lists beside the counts; they are empty if the report is gone."""
    if run.summary.data is None:
        return Findings([], {}, [], [], 0, [])
    folder = run.summary.data.report
    quarantine = _rows(folder, report.QUARANTINE)[:MOST_ROWS]
    near = _rows(folder, report.NEAR_DUPLICATES)
    return Findings(
        quarantine,
        dict(_quarantine_pictures(folder, quarantine)),
        _rows(folder, report.DUPLICATES)[:MOST_ROWS],
        [_cluster(row) for row in sorted(near, key=lambda row: -len(row["labels"]))[:_MOST_CLUSTERS]],
        len(near),
        _rows(folder, report.LITTLE_CONTENT)[:MOST_ROWS],
    )


def drift(run: ReportedRun) -> list[drift_findings.Finding] | None:
    """What had changed since the version in production was trained; None if the file is gone, or there was none."""
    folder = run.uri(EXAMPLE_VALIDATOR, "anomalies")
    return None if folder is None else remains.if_left(lambda: drift_findings.read(folder))


def sheet_size(classes: int) -> int:
    """How many pictures the contact sheet of each class has."""
    return max(1, min(_MOST_OF_SHEET, _SHEETS // max(1, classes)))


def balance(run: ReportedRun) -> Chart | None:
    """Images of each class, by split; the classes with most images if they are many. None if the counts are gone."""
    if run.summary.data is None:
        return None
    counts = run.summary.data.counts
    names = sorted(run.classes, key=counts.examples_of, reverse=True)
    shown = names[:_MOST_BARS]
    with charts.styled():
        made, (axes,) = charts.figure(5.2, 1.3 + 0.24 * len(shown))
        left = [0] * len(shown)
        for split, of_split in counts.splits.items():
            images = [of_split.get(name, 0) for name in shown]
            axes.barh([charts.name(name) for name in shown], images, left=left, color=charts.SPLITS[split], label=split)
            left = [one + more for one, more in zip(left, images, strict=True)]
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set(xlabel="images")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
        rows = [(name, *(counts.splits[split].get(name, 0) for split in counts.splits)) for name in names]
        alt = (
            f"Images of each class by split. {names[0]} has the most, {counts.examples_of(names[0])}, and {names[-1]} "
            f"the fewest, {counts.examples_of(names[-1])}."
        )
        return charts.finish(made, alt, ("class", *counts.splits), rows)


def sheets(album: Album, classes: Iterable[str]) -> list[tuple[str, list[str]]]:
    """Class name and pictures of training images, of each class that has some."""
    found = ((name, [album.small[key] for key in album.sheets.get(name, ()) if key in album.small]) for name in classes)
    return [(name, images) for name, images in found if images]


def _rows(folder: str, name: str) -> list[dict[str, Any]]:
    return remains.if_left(lambda: report.read_rows(os.path.join(folder, name))) or []


def _quarantine_pictures(folder: str, rows: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, str]]:
    import tensorflow as tf

    for row in rows:
        if row["thumbnail"]:
            path = os.path.join(folder, row["thumbnail"])
            encoded = remains.if_left(tf.io.gfile.GFile(path, "rb").read)
            if encoded and (picture := pictures.small(encoded)):
                yield row["path"], picture


def _cluster(row: Mapping[str, Any]) -> Cluster:
    """An image of each label first, then some of each split."""
    split_of = {path: split for split, paths in row["paths"].items() for path in paths}
    by_label = [(split_of.get(path, ""), path) for path in row["examples"].values()]
    by_split = [(split, path) for split, paths in row["paths"].items() for path in paths[:2]]
    rest = [(split, path) for path, split in split_of.items()]
    images = list(dict.fromkeys([*by_label, *by_split, *rest]))[:_MOST_OF_CLUSTER]
    return Cluster(images, row["images"], row["images_of_labels"])
