"""The parts of the test images that are searched for bad ones: bands and values of facts, and groups that look alike.

Nothing here knows which images the model gets right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import sklearn.cluster
import sklearn.decomposition

from components.evaluator.slice_findings import GROUP
from components.fact_table import FactTable, are_numbers, to_numbers
from config import image_facts
from modules.data import features

FEWEST = 10  # images of a part, and of the rest
_MOST_VALUES = 100  # of a feature
_SIZES = (20, 50, 120)  # images of a group, on average; chosen by benchmarks/slices.py
_MOST_CLUSTERS = 40
_MOST_FITTED = 20_000  # images that the clusters are fitted on
_COMPONENTS = 32  # principal components of the image features
_ROWS = 4096  # images that are assigned to clusters at a time
_RANGES = 4  # of a column of numbers, with about as many images each
_LEAST_NUMBERS = 16  # distinct values of a column from which on they are taken for numbers

Parts = dict[str, np.ndarray]  # name to bool [images]


def of_facts(table: FactTable) -> Parts:
    """Bands and values of each fact, as `feature=value`, in the words of `gate.slices`.

    Ranges of a column of numbers are named `column/age from 3 to 7`, and no slice of `gate.slices`.
    """
    numbers = {name: values.tolist() for name, values in table.numbers.items()}
    height, width = numbers[features.HEIGHT], numbers[features.WIDTH]
    facts = {
        image_facts.SIZE_BAND: list(map(image_facts.size_band, height, width)),
        image_facts.ASPECT_BAND: list(map(image_facts.aspect_band, height, width)),
        image_facts.BRIGHTNESS_BAND: list(map(image_facts.brightness_band, numbers[features.BRIGHTNESS])),
        image_facts.SHARPNESS_BAND: list(map(image_facts.sharpness_band, numbers[features.SHARPNESS])),
    }
    parts: Parts = {}
    for feature, values in {**facts, **table.texts}.items():
        if feature.startswith(image_facts.COLUMN) and are_numbers(values, _LEAST_NUMBERS):
            parts |= _of_ranges(feature, to_numbers(values))
        else:
            parts |= of_values(feature, values)
    return dict(_large_enough(parts))


def of_values(feature: str, values: Sequence[str]) -> Parts:
    """The images of each value that has enough of them; of the 100 most frequent values."""
    distinct, inverse, counts = np.unique(np.asarray(values, np.str_), return_inverse=True, return_counts=True)
    frequent = np.sort(np.argsort(-counts, kind="stable")[:_MOST_VALUES])
    return {f"{feature}={distinct[number]}": inverse == number for number in frequent if counts[number] >= FEWEST}


def _of_ranges(feature: str, values: np.ndarray) -> Parts:
    known = np.isfinite(values)
    edges = np.unique(np.quantile(values[known], np.linspace(0, 1, _RANGES + 1)))
    ranges = np.searchsorted(edges[1:-1], values, "right")
    parts = {
        f"{feature} from {edges[number]:g} to {edges[number + 1]:g}": known & (ranges == number)
        for number in range(len(edges) - 1)
    }
    return {**parts, f"{feature}=": ~known}


def of_clusters(vectors: np.ndarray, sizes: Sequence[int] = _SIZES) -> Parts:
    """Groups of images that look alike: k-means on the principal components of their scaled features.

    Args:
      vectors: float [images, features]; may be mapped from a file.
      sizes: images that a group has on average, of each division into groups; a division has at most 40 groups.

    Returns:
      the groups, as `group=<number>`; the numbers have no meaning.
    """
    fitted = _scaled(vectors[:_MOST_FITTED])
    counts = [count for size in sizes if (count := min(len(vectors) // size, _MOST_CLUSTERS)) > 1]
    if not counts:
        return {}
    components = min(_COMPONENTS, *fitted.shape)
    principal = sklearn.decomposition.PCA(components, svd_solver="randomized", random_state=0).fit(fitted)
    starts = range(0, len(vectors), _ROWS)
    reduced = np.concatenate([principal.transform(_scaled(vectors[start : start + _ROWS])) for start in starts])
    parts: Parts = {}
    for count in dict.fromkeys(counts):
        clusters = sklearn.cluster.KMeans(count, n_init=3, random_state=0).fit(reduced[:_MOST_FITTED]).predict(reduced)
        parts |= {f"{GROUP}{len(parts) + number}": clusters == number for number in range(count)}
    return dict(_large_enough(parts))


def _scaled(vectors: np.ndarray) -> np.ndarray:
    """float32, each of length 1, as cosine distances compare them."""
    vectors = np.asarray(vectors, np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)


def _large_enough(parts: Parts) -> Iterator[tuple[str, np.ndarray]]:
    return ((name, part) for name, part in parts.items() if min(part.sum(), (~part).sum()) >= FEWEST)
