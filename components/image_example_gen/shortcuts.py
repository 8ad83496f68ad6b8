"""Facts that tell the classes apart by themselves: all cats are dark photos, or one farm took all of the dogs.

A model can learn such a fact instead of what the images show, and its accuracy on the test split does not show that.
Each fact alone predicts each class against all others: the training images are counted by ranges of the fact (or its
values), and each range predicts the class if it has a larger share of the class's images than of all others. That is
judged on the images of eval and test by its balanced accuracy: the mean of the shares of both sides that are right, 0.5
by chance. A fact is reported if the lower confidence bound is at least `_LEAST`.

The bounds of all facts and classes hold together with 95 % confidence (Bonferroni). Each combines Wilson's bounds of
the two shares by the method of Zou and Donner, https://doi.org/10.1002/sim.3095. benchmarks/slices.py compares it with
a decision tree, and `_LEAST` with other values; docs/benchmarks.md has the results.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from components.evaluator import confidence
from components.fact_table import FactTable, are_numbers, to_numbers
from config.image_facts import CAMERA, COLUMN, FORMAT
from modules.data import features
from modules.files import atomic_write

FILE = "shortcuts.json"
BINS = 16  # ranges of a number, with about as many training images each
_MOST_VALUES = 1000  # of a column; the others count as one
_LEAST = 0.8
_CONFIDENCE = 0.95
_NAMES = {FORMAT: "the file format", CAMERA: "the camera"}


@dataclass(frozen=True)
class Shortcut:
    """A fact that tells a class from all others.

    Attributes:
      fact: as a person calls it.
      label: name of the class.
      other: name of the other class, if there are two in all; empty otherwise.
      accuracy: balanced accuracy on the held-out images, [0, 1].
      lower: its lower confidence bound.
      images: held-out images in all.
    """

    fact: str
    label: str
    other: str
    accuracy: float
    lower: float
    images: int


Fact = np.ndarray | Sequence[str]  # float64 [images], not a number where it is missing; or a value of each image


def facts_of(table: FactTable) -> dict[str, Fact]:
    """Name to the fact about each image."""
    height, width = table.numbers[features.HEIGHT], table.numbers[features.WIDTH]
    facts: dict[str, Fact] = {
        "brightness": table.numbers[features.BRIGHTNESS],
        "sharpness": table.numbers[features.SHARPNESS],
        "the size": np.minimum(height, width),
        "the aspect ratio": width / height,
    }
    for feature, values in table.texts.items():
        name = _NAMES.get(feature) or f"the column {feature.removeprefix(COLUMN)!r}"
        facts[name] = values
    return facts


def find(
    train: Mapping[str, Fact],
    train_labels: Sequence[str],
    held_out: Mapping[str, Fact],
    held_out_labels: Sequence[str],
    least: float = _LEAST,
) -> list[Shortcut]:
    """Looks for facts that tell a class from all others.

    Args:
      train: name to the fact about each training image.
      train_labels: class of each training image.
      held_out: the same facts about the images of eval and test.
      held_out_labels: their classes.
      least: lower confidence bound from which on a fact is reported.

    Returns:
      for each fact the best class first.
    """
    classes = sorted({*train_labels, *held_out_labels})
    index = {name: number for number, name in enumerate(classes)}
    numbers, tested = (np.array([index[name] for name in names]) for names in (train_labels, held_out_labels))
    judged = classes[:1] if len(classes) == 2 else classes
    tests = max(1, len(train) * len(judged))
    found = []
    for name, fact in train.items():
        ranges = _ranges(fact, held_out[name])
        right, total = _right(ranges[0], ranges[1], numbers, tested, len(classes))
        for number, label in enumerate(judged):
            of_class, images = int(total[number]), int(total.sum())
            both = (int(right[0][number]), of_class), (int(right[1][number]), images - of_class)
            accuracy = _balanced_accuracy(*both)
            lower = _lower_bound(*both, 1 - (1 - _CONFIDENCE) / tests) if accuracy >= least else 0.0
            if lower >= least:
                other = classes[1] if len(classes) == 2 else ""
                found.append(Shortcut(name, label, other, accuracy, lower, images))
    return sorted(found, key=lambda one: (one.fact, -one.accuracy, one.label))


def _ranges(train: Fact, held_out: Fact) -> tuple[np.ndarray, np.ndarray]:
    """int64 [images] of both: number of the range of each image, or of its value; -1 for all rare values."""
    if isinstance(train, np.ndarray) or are_numbers(train, BINS):
        one, other = (values if isinstance(values, np.ndarray) else to_numbers(values) for values in (train, held_out))
        known = one[np.isfinite(one)]
        edges = np.unique(np.quantile(known, np.arange(1, BINS) / BINS)) if len(known) else known
        missing = len(edges) + 1
        one, other = (np.where(np.isnan(v), missing, np.searchsorted(edges, v, "right")) for v in (one, other))
        return one, other
    frequent = [value for value, images in Counter(train).most_common(_MOST_VALUES) if images > 1]
    index = {value: number for number, value in enumerate(frequent)}
    one, other = (np.array([index.get(value, -1) for value in values], np.int64) for values in (train, held_out))
    return one, other


def _right(
    ranges: np.ndarray, held_out_ranges: np.ndarray, labels: np.ndarray, held_out_labels: np.ndarray, classes: int
) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Held-out images that the ranges of the training images classify rightly.

    Returns:
      of each class: images of the class that are right, and images of the others that are right; and its images.
    """
    last = int(max(ranges.max(initial=0), held_out_ranges.max(initial=0))) + 2  # the last is for rare values
    counts = np.zeros((last, classes))
    np.add.at(counts, (ranges, labels), 1)
    of_class = counts.sum(axis=0)
    of_rest = len(labels) - of_class
    share = counts / np.maximum(of_class, 1)
    share_of_rest = (counts.sum(axis=1, keepdims=True) - counts) / np.maximum(of_rest, 1)
    predicted = share > share_of_rest  # [ranges, classes]
    tested = np.zeros((last, classes))
    np.add.at(tested, (held_out_ranges, held_out_labels), 1)
    others = tested.sum(axis=1, keepdims=True) - tested
    return ((predicted * tested).sum(axis=0), (~predicted * others).sum(axis=0)), tested.sum(axis=0)


def _balanced_accuracy(one: tuple[int, int], other: tuple[int, int]) -> float:
    """Mean of two shares, each (successes, trials); 0 if one has no trials."""
    return (one[0] / one[1] + other[0] / other[1]) / 2 if one[1] and other[1] else 0.0


def _lower_bound(one: tuple[int, int], other: tuple[int, int], level: float) -> float:
    """The lower bound of a balanced accuracy at a confidence; both have trials."""
    below = ((share[0] / share[1] - confidence.share_bounds(*share, level)[0]) ** 2 for share in (one, other))
    return _balanced_accuracy(one, other) - math.sqrt(sum(below)) / 2


def write(report_uri: str, shortcuts: Iterable[Shortcut]) -> None:
    """Writes `shortcuts.json`."""
    rows = [dataclasses.asdict(one) for one in shortcuts]
    atomic_write(os.path.join(report_uri, FILE), json.dumps(rows, indent=2, ensure_ascii=False) + "\n")


def read(report_uri: str) -> list[Shortcut]:
    """Reads `shortcuts.json`; empty if there is none: older reports have none."""
    path = os.path.join(report_uri, FILE)
    if not tf.io.gfile.exists(path):
        return []
    with tf.io.gfile.GFile(path) as file:
        return [Shortcut(**row) for row in json.loads(file.read())]


def warnings(shortcuts: Sequence[Shortcut], most: int = 3) -> Iterator[str]:
    """One sentence per fact.

    Args:
      shortcuts: as `find` returns them.
      most: classes that are named.
    """
    for fact in dict.fromkeys(one.fact for one in shortcuts):
        found = [one for one in shortcuts if one.fact == fact]
        first = found[0]
        if first.other:
            told = f"{first.label} from {first.other} with {first.accuracy:.0%}"
        else:
            named = ", ".join(f"{one.label} with {one.accuracy:.0%}" for one in found[:most])
            more = f", and {len(found) - most} more classes" if len(found) > most else ""
            told = f"a class from all others: {named}{more}"
        yield (
            f"{fact} alone tells {told} (balanced accuracy on {first.images} held-out images; chance is 50%), so a "
            "model may learn it instead of what the images show; add images of each class in which it differs"
        )
