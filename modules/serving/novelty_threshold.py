"""The distance from which on an image counts as unlike the training images, and the record of it, `novelty.json`.

The threshold is that of split conformal prediction (Bates et al., https://arxiv.org/abs/2104.08279): of n
eval images, the distance of rank ceil((n + 1) * (1 - rate)). A new image like those of eval is then beyond it with a
probability of at most `rate`, on average over draws of eval, whatever the distribution. With fewer than 1/rate - 1
images there is no such rank. Then distances of training images help, each measured as if the image had not been fitted.
Training may have drawn them closer than new images are, so they are moved to the median of eval's distances, and
stretched if the middle half of eval's is wider. This is an estimate without a guarantee.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from modules.files import atomic_write

THRESHOLD = 0.5  # of the output `novelty`: an image is in scope up to it
FILE = "novelty.json"
EVAL: Literal["eval"] = "eval"
EVAL_AND_TRAIN: Literal["eval and train"] = "eval and train"
_SMALLEST_MARGIN = 1e-6


@dataclass(frozen=True)
class Threshold:
    """Where the output `novelty` is THRESHOLD.

    Attributes:
      distance: of either sign.
      margin: how much farther it is than the median of eval's distances, above 0.
      rate: the share of images like those of eval that may be beyond it, above 0, below 1.
      chosen_by: whose distances it is from.
      eval_images: how many images of eval there are.
      guaranteed: whether `rate` holds for images like those of eval, on average over draws of eval.
    """

    distance: float
    margin: float
    rate: float
    chosen_by: Literal["eval", "eval and train"]
    eval_images: int
    guaranteed: bool


def choose(eval_distances: np.ndarray, train_distances: np.ndarray, rate: float) -> Threshold:
    """Sets the threshold.

    Args:
      eval_distances: float [images]; one image or more.
      train_distances: float [images], of training images as if they had not been fitted; used if eval is too small.
      rate: see Threshold.

    Raises:
      ValueError: if a distance is not a finite number.
    """
    images = len(eval_distances)
    if not (images and np.isfinite(eval_distances).all()):
        raise ValueError("the distances of eval's images are not finite numbers")
    guaranteed = conformal_rank(images, rate) <= images
    found = conformal_quantile(eval_distances, rate)
    if not guaranteed:
        found = max(found, conformal_quantile(_like(train_distances, eval_distances), rate))
    if not math.isfinite(found):
        raise ValueError("the distances of the training images are not finite numbers")
    chosen_by = EVAL if guaranteed else EVAL_AND_TRAIN
    margin = max(found - float(np.median(eval_distances)), _SMALLEST_MARGIN)
    return Threshold(found, margin, rate, chosen_by, images, guaranteed)


def _like(distances: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Distances with the median of others, and their interquartile range if that is larger."""
    (low, median, high), (low_other, middle, high_other) = (
        np.quantile(ones, [0.25, 0.5, 0.75]) for ones in (distances, others)
    )
    stretch = (high_other - low_other) / (high - low) if high > low else 1.0
    return middle + max(1.0, stretch) * (distances - median)


def conformal_rank(images: int, rate: float) -> int:
    """The rank, from 1, whose distance is the threshold; above `images` if there are too few."""
    return math.ceil((images + 1) * (1 - rate) - 1e-9)


def images_needed(rate: float) -> int:
    """How many images of eval guarantee a rate."""
    return math.ceil(1 / rate - 1 - 1e-9)


def conformal_quantile(distances: np.ndarray, rate: float) -> float:
    """The distance of this rank; the largest one if there are too few images."""
    return float(np.sort(distances)[min(conformal_rank(len(distances), rate), len(distances)) - 1])


def write(threshold: Threshold, folder: str | Path) -> None:
    """Writes the record; readers see the whole file or none."""
    atomic_write(Path(folder, FILE), json.dumps(dataclasses.asdict(threshold), indent=2) + "\n")


def read(folder: str | Path) -> Threshold | None:
    """Reads the record; None if there is none, as in runs without the section `novelty`."""
    path = Path(folder, FILE)
    return Threshold(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None
