"""From image features to findings: wrong labels, look-alikes with different labels, outliers, nearest images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from components.label_check import detection, neighbours
from components.label_check.detection import Judged
from components.label_check.image_features import ImageFeatures, Stacked
from components.label_check.neighbours import Directions
from components.label_check.results import Kind, LabelFindings, Neighbour, Suspect, Totals, in_order
from config.data import TEST, TRAIN
from config.label_check import LabelCheckConfig

NEIGHBOURS = 3


def check(
    images: ImageFeatures, classes: Sequence[str], look_alikes: Sequence[Mapping[str, Any]], config: LabelCheckConfig
) -> LabelFindings:
    """Finds what a person ought to look at.

    Args:
      images: of all splits.
      classes: names by index; images of other classes are not judged.
      look_alikes: rows of ImageExampleGen's `near_duplicates.jsonl`.
      config: bounds.
    """
    table = _Table(images, classes)
    features = Stacked([split.vectors for split in images.splits.values()])
    width = images.blocks[-1]
    mean = neighbours.mean_of(features, len(features), width)
    directions = Directions(features, np.arange(len(features)), mean)
    judged = table.judge(features, images.blocks)
    suspects = [
        *([] if judged is None else table.wrong(judged, config)),
        *table.near_duplicates(look_alikes),
        *table.outliers(directions),
    ]
    listed, totals = _listed(suspects, config.most)
    numbers = Totals(
        images={name: len(split.keys) for name, split in images.splits.items()},
        suspects=totals,
        noise=None if judged is None else round(judged.noise, 6),
        not_judged=table.not_judged(),
    )
    return LabelFindings(listed, table.nearest(directions), numbers)


def _listed(suspects: Sequence[Suspect], most: int) -> tuple[list[Suspect], dict[str, dict[str, int]]]:
    """Each image once, for the most serious reason; and how many there are by kind and split."""
    of_image: dict[str, Suspect] = {}
    for one in in_order(suspects):
        of_image.setdefault(one.key, one)
    counts: dict[str, dict[str, int]] = {kind.value: {} for kind in Kind}
    listed = []
    for one in of_image.values():
        of_kind = counts[one.kind]
        of_kind[one.split] = of_kind.get(one.split, 0) + 1
        if of_kind[one.split] <= most:
            listed.append(one)
    return listed, counts


class _Some:
    """Some rows of an array, which are read when they are asked for."""

    def __init__(self, features: Stacked, rows: np.ndarray):
        self._features, self._rows = features, rows

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        return self._features[self._rows[rows]]


class _Table:
    """All images, one split after the other."""

    def __init__(self, images: ImageFeatures, classes: Sequence[str]):
        splits = images.splits.items()
        self._classes = list(classes)
        self._splits = [name for name, split in splits for _ in split.keys]
        self._keys = [key for _, split in splits for key in split.keys]
        self._paths = [path for _, split in splits for path in split.paths]
        self._labels = [label for _, split in splits for label in split.labels]
        self._units = [group or key for _, split in splits for group, key in zip(split.groups, split.keys, strict=True)]
        self._counts = Counter(self._labels)

    def judge(self, features: Stacked, blocks: tuple[int, ...]) -> Judged | None:
        """Judges all labels; None if there are fewer than two classes with enough images."""
        known = {name: index for index, name in enumerate(self._classes)}
        if sum(self._counts[name] >= detection.FEWEST_IMAGES for name in known) < 2:
            return None
        self._rows = np.array([index for index, label in enumerate(self._labels) if label in known])
        labels = np.array([known[self._labels[row]] for row in self._rows], np.int64)
        units = np.array([self._units[row] for row in self._rows])
        return detection.judge(_Some(features, self._rows), labels, units, blocks)

    def wrong(self, judged: Judged, config: LabelCheckConfig) -> Iterator[Suspect]:
        """Labels that are likely wrong, or that a classifier would not expect."""
        unexpected = (judged.own < config.unexpected) & judged.judged
        for place in np.flatnonzero((judged.wrong >= config.wrong) | unexpected):
            kind = Kind.WRONG if judged.wrong[place] >= config.wrong else Kind.CHECK
            likely = self._classes[int(judged.likely[place])]
            yield self._suspect(int(self._rows[place]), likely, 1 - float(judged.own[place]), kind)

    def near_duplicates(self, clusters: Sequence[Mapping[str, Any]]) -> Iterator[Suspect]:
        """Images that look the same and have different labels."""
        row_of = {path: row for row, path in enumerate(self._paths)}
        for cluster in clusters:
            numbers: Mapping[str, int] = cluster.get("images_of_labels", {})
            if len(cluster["labels"]) < 2 or not numbers:
                continue
            total = sum(numbers.values())
            for path in (path for several in cluster["paths"].values() for path in several):
                if (row := row_of.get(path)) is None:
                    continue
                label = self._labels[row]
                others = {name: count for name, count in numbers.items() if name != label}
                likely = max(sorted(others), key=lambda name: others[name])
                yield self._suspect(row, likely, 1 - numbers.get(label, 0) / total, Kind.NEAR_DUPLICATE)

    def outliers(self, directions: Directions) -> Iterator[Suspect]:
        """Images that are far from all others."""
        distances, unusual = neighbours.outliers(directions)
        for row in np.flatnonzero(unusual):
            yield self._suspect(int(row), self._labels[row], float(distances[row]), Kind.OUTLIER)

    def nearest(self, directions: Directions) -> dict[str, list[Neighbour]]:
        """The training images nearest to each test image."""
        splits = np.array(self._splits)
        test, train = np.flatnonzero(splits == TEST), np.flatnonzero(splits == TRAIN)
        found = neighbours.nearest(directions.of(test), directions.of(train), NEIGHBOURS)
        return {
            self._keys[row]: [
                Neighbour(self._keys[one], self._paths[one], self._labels[one], float(distance))
                for one, distance in zip(train[indices], distances, strict=True)
            ]
            for row, indices, distances in zip(test, found.indices, found.distances, strict=True)
        }

    def not_judged(self) -> list[str]:
        """Classes with too few images."""
        return sorted(
            name for name, count in self._counts.items() if count < detection.FEWEST_IMAGES or name not in self._classes
        )

    def _suspect(self, row: int, likely: str, score: float, kind: Kind) -> Suspect:
        names = (self._paths[row], self._keys[row], self._splits[row], self._labels[row])
        return Suspect(*names, likely, score, kind.value)
