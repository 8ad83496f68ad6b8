"""Parts of the test images in which the candidate is clearly worse than on other images of the same classes.

slice_candidates.py makes the parts, slice_test.py has the statistics, slice_findings.py is the result, and
benchmarks/slices.py compares the search with its rivals. No verdict depends on it.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence

import numpy as np

from components import fact_table
from components.evaluator import slice_candidates, slice_test
from components.evaluator.predictions import Predictions
from components.evaluator.slice_candidates import Parts
from components.evaluator.slice_findings import GROUP, BadSlice, Search
from components.label_check import image_features

LEAST_DIFFERENCE = 0.05  # of the accuracies; a smaller one may be certain, and is not worth a warning
_MOST_OVERLAP = 0.5  # images that two parts share, of all images of both; with more, they are one finding
_MOST_FOUND = 5
_PATHS = 5


def search(
    answers: Predictions, report_uri: str | None, features_uri: str | None, splits: Sequence[str], confidence: float
) -> Search:
    """Searches the images that were evaluated.

    Args:
      answers: of the candidate.
      report_uri: folder of the ingest report; None: no facts are searched.
      features_uri: folder of LabelCheck's image features; None: no groups of images are searched.
      splits: that were evaluated.
      confidence: 1 minus the probability that a slice is named although none is bad.
    """
    indices = answers.label_indices
    labels = np.where(indices < 0, len(answers.classes), indices)  # a class that the candidate does not know, too
    parts, groups = Parts(), Parts()
    if report_uri is not None:
        facts = fact_table.read(report_uri, splits)
        parts = _in_order(slice_candidates.of_facts(facts), answers.rows_in(facts.keys))
    if features_uri is not None:
        found = image_features.read(features_uri)
        read = [found.splits[split] for split in splits]
        keys = [key for split in read for key in split.keys]
        last_block = [split.vectors[:, -found.blocks[-1] :] for split in read]
        vectors = np.concatenate(last_block) if len(last_block) > 1 else last_block[0]
        groups = _in_order(slice_candidates.of_clusters(vectors), answers.rows_in(keys))
    candidates = {**parts, **groups}
    probabilities = find(candidates, answers.right, labels, 1 - confidence)
    slices = _described(candidates, probabilities, answers.right, labels, answers.paths)
    return Search(slices, len(candidates), len(groups))


def find(parts: Parts, right: np.ndarray, labels: np.ndarray, level: float) -> dict[str, float]:
    """Tests all parts on all images, with Holm's correction for their number.

    Args:
      parts: bool [images] of each; they do not depend on `right`.
      right: bool [images], whether the candidate's answer is the label.
      labels: int64 [images], index of the class.
      level: probability that any part is named although none is bad.

    Returns:
      name of each part that is worse by `LEAST_DIFFERENCE`, to its adjusted p-value.
    """
    adjusted = slice_test.holm([slice_test.probability(part, right, labels) for part in parts.values()])
    return {
        name: probability
        for (name, part), probability in zip(parts.items(), adjusted, strict=True)
        if probability <= level and _difference(part, right, labels) >= LEAST_DIFFERENCE
    }


def _difference(part: np.ndarray, right: np.ndarray, labels: np.ndarray) -> float:
    expected = slice_test.expected_accuracy(part, right, labels)
    return 0.0 if expected is None else expected - float(right[part].mean())


def _in_order(parts: Parts, rows: np.ndarray) -> Parts:
    """The parts, with the images in another order."""
    return {name: part[rows] for name, part in parts.items()}


def _described(
    parts: Parts, probabilities: Mapping[str, float], right: np.ndarray, labels: np.ndarray, paths: Sequence[bytes]
) -> list[BadSlice]:
    """The slices, the most certain first. Facts come before groups, and one of several that overlap is left."""
    found: list[BadSlice] = []
    for name in sorted(probabilities, key=lambda one: (one.startswith(GROUP), probabilities[one])):
        part = parts[name]
        same = [number for number, one in enumerate(found) if _overlap(part, parts[one.slice]) > _MOST_OVERLAP]
        for number in same[:1] if not name.startswith(GROUP) else ():
            found[number] = dataclasses.replace(found[number], also=[*found[number].also, name])
        if same or len(found) == _MOST_FOUND:
            continue
        rows = np.flatnonzero(part)
        rows = rows[np.argsort(right[rows], kind="stable")][:_PATHS]
        accuracy, expected = float(right[part].mean()), slice_test.expected_accuracy(part, right, labels) or 0.0
        some = [os.fsdecode(paths[row]) for row in rows.tolist()]
        found.append(BadSlice(name, int(part.sum()), accuracy, expected, probabilities[name], some))
    return found


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Images that are in both, as a share of those in any of the two."""
    return float((one & other).sum() / (one | other).sum())
