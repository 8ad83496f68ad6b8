"""What the process of one method leaves behind: its answers on the test images, and what the training cost."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

_ANSWERS, _COSTS = "answers.npz", "costs.json"


@dataclass(frozen=True)
class Costs:
    """Of one training.

    Attributes:
      training: seconds of what trains: feature extraction and fitting; without imports and the reading of data.
      whole: seconds from the start of the process to the trained model.
      cpu: seconds of CPU time of the process and its children that ended, up to the trained model.
      peak_gib: highest resident memory of the process and its children up to the trained model.
      rolled_back: whether phase 2 was rolled back; None if there was none, or it never is.
    """

    training: float
    whole: float
    cpu: float
    peak_gib: float
    rolled_back: bool | None = None


def costs_so_far(training: float, peak_gib: float, rolled_back: bool | None = None) -> Costs:
    """The costs of a process that has just trained a model."""
    whole = time.time() - psutil.Process().create_time()
    return Costs(training, whole, sum(os.times()[:4]), peak_gib, rolled_back)


def test_files(folder: Path) -> list[Path]:
    """The test images, in the order in which every method answers them.

    Args:
      folder: with one folder per class.
    """
    return sorted(folder.glob("*/*"))


def save(folder: Path, classes: list[str], probabilities: np.ndarray, costs: Costs) -> None:
    """Writes what `load` reads.

    Args:
      folder: where to write.
      classes: their names, in the order of the columns.
      probabilities: float [images, classes], in the order of `test_files`.
      costs: of the training.
    """
    np.savez(folder / _ANSWERS, classes=np.array(classes), probabilities=probabilities)
    (folder / _COSTS).write_text(json.dumps(vars(costs)), encoding="utf-8")


def load(folder: Path, test: Path) -> tuple[np.ndarray, np.ndarray, Costs]:
    """Reads what `save` wrote.

    Args:
      folder: see `save`.
      test: folder of the test images.

    Returns:
      labels int [images] as indices of the columns, probabilities float [images, classes], and the costs.

    Raises:
      ValueError: if there is not one answer per image.
    """
    with np.load(folder / _ANSWERS) as answers:
        classes, probabilities = answers["classes"].tolist(), answers["probabilities"]
    labels = np.array([classes.index(file.parent.name) for file in test_files(test)])
    if len(labels) != len(probabilities):
        raise ValueError(f"{folder}: {len(probabilities)} answers for {len(labels)} test images")
    return labels, probabilities, Costs(**json.loads((folder / _COSTS).read_text(encoding="utf-8")))
