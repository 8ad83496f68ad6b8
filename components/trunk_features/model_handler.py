"""How Beam's RunInference runs the trunk: each worker loads it once, and batches have a fixed size."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
from apache_beam.ml.inference import base

from components import progress
from components.trunk_features.extractor import Extractor, Recipe
from modules import trunk_runtime

_BATCH_SIZE = 32  # views of images

IMAGES_BY_RUNTIME = {
    name: beam.metrics.Metrics.counter("trunk_features", f"images_in_{name}")
    for name in (trunk_runtime.TENSORFLOW, trunk_runtime.OPENVINO)
}
"""Counters of the images that were computed in each runtime."""

Features = tuple[bytes, int, float, np.ndarray]  # key, label, weight, activations [views, ...]


@functools.lru_cache(maxsize=1)
def extractor(recipe: str, transform_graph: str) -> Extractor:
    """Loads the trunk. A trunk that this process loaded for another split is used again.

    Args:
      recipe: a serialized Recipe.
      transform_graph: folder of the transform graph.
    """
    return Extractor(Recipe.parse(recipe), transform_graph)


class TrunkHandler(base.ModelHandler[bytes, Features, Extractor]):
    """Serialized raw examples to their features."""

    def __init__(self, recipe: str, transform_graph: str, views: int, images: int, folder: str):
        """Makes a handler.

        Args:
          recipe: a serialized Recipe.
          transform_graph: folder of the transform graph.
          views: variants of each image.
          images: number of images in all splits.
          folder: where the workers report their progress.
        """
        size = max(1, _BATCH_SIZE // views)
        super().__init__(min_batch_size=size, max_batch_size=size)
        self._recipe, self._transform_graph = recipe, transform_graph
        self._views, self._images, self._folder = views, images, folder

    def load_model(self) -> Extractor:
        self._tally = progress.Tally.of(self._folder, self._images)
        return extractor(self._recipe, self._transform_graph)

    def run_inference(
        self, batch: Sequence[bytes], model: Extractor, inference_args: dict[str, Any] | None = None
    ) -> Iterable[Features]:
        columns = [part.numpy() for part in model(tf.constant(batch), self._views)]
        self._tally.add(len(batch), len(batch))
        IMAGES_BY_RUNTIME[model.runtime.name].inc(len(batch))
        return list(zip(*columns, strict=True))
