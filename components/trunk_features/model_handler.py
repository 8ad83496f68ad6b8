"""How Beam's RunInference runs the trunk: one load a worker, batches of a fixed size, progress."""

from __future__ import annotations

import functools
import json
import logging
import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from apache_beam.ml.inference import base

from modules.trunk_features import Extractor, Recipe

_log = logging.getLogger("regraft.trunk_features")

_PROGRESS_SECONDS = 10.0
_BATCH_SIZE = 32  # views of images

Features = tuple[bytes, int, float, np.ndarray]  # key, label, weight, activations [views, ...]


@functools.lru_cache(maxsize=1)
def extractor(recipe: str, transform_graph: str) -> Extractor:
    """Loads the trunk; one that was just loaded in this process for another split is used again.

    Args:
      recipe: JSON of the Recipe.
      transform_graph: folder of the transform graph.
    """
    return Extractor(Recipe(**json.loads(recipe)), transform_graph)


class TrunkHandler(base.ModelHandler[bytes, Features, Extractor]):
    """Serialized raw examples to their features."""

    def __init__(self, recipe: str, transform_graph: str, views: int, images: int):
        """Notes what is to be run.

        Args:
          recipe: JSON of the Recipe.
          transform_graph: folder of the transform graph.
          views: how many of each image.
          images: how many there are, for the progress.
        """
        size = max(1, _BATCH_SIZE // views)
        super().__init__(min_batch_size=size, max_batch_size=size)
        self._recipe, self._transform_graph = recipe, transform_graph
        self._views, self._images = views, images

    def load_model(self) -> Extractor:
        self._done, self._start = 0, time.monotonic()
        self._said = self._start
        return extractor(self._recipe, self._transform_graph)

    def run_inference(
        self, batch: Sequence[bytes], model: Extractor, inference_args: dict[str, Any] | None = None
    ) -> Iterable[Features]:
        columns = [part.numpy() for part in model(tf.constant(batch), self._views)]
        self._progress(len(batch))
        return list(zip(*columns, strict=True))

    def _progress(self, images: int) -> None:
        self._done += images
        now = time.monotonic()
        if now - self._said > _PROGRESS_SECONDS:
            self._said = now
            rate = self._done / (now - self._start)
            left = max(0, self._images - self._done) / rate
            _log.info("  %d of %d images, %.3g images/s, %.0f s left", self._done, self._images, rate, left)
