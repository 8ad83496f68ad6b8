"""The training images from which a quantized model takes the range of each layer's values."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tfx import types

from components import example_counts, example_files
from modules.data import features, transform_graph

_BATCH = 16


def pixels(examples: types.Artifact, split: str, graph: tft.TFTransformOutput, count: int) -> np.ndarray:
    """The images whose keys are lowest. A key is a hash of the image, so the choice is random, and always the same.

    Args:
      examples: raw examples, as ImageExampleGen writes them.
      split: the split to choose from.
      graph: the transform graph.
      count: most images; fewer if the split has fewer.

    Returns:
      uint8 [images, height, width, 3], RGB, resized as the model takes them.

    Raises:
      IncompleteExamplesError: if the split has not all examples that were written.
    """
    files = example_files.of_split(examples, split)
    found = 0

    def keyed() -> Iterator[tuple[bytes, bytes]]:
        nonlocal found
        spec = {features.KEY: tf.io.FixedLenFeature([], tf.string)}
        for batch in tf.data.TFRecordDataset(files, "GZIP").batch(256):
            keys = tf.io.parse_example(batch, spec)[features.KEY]
            found += len(keys)
            yield from zip(keys.numpy(), batch.numpy(), strict=True)

    chosen = [record for _, record in heapq.nsmallest(count, keyed())]
    example_counts.check(examples, split, found)
    read = transform_graph.reader(graph)
    batches = [chosen[start : start + _BATCH] for start in range(0, len(chosen), _BATCH)]
    resized = [read(tf.constant(batch))[features.TRANSFORMED_PIXELS].numpy() for batch in batches]
    return np.clip(np.rint(np.concatenate(resized)), 0, 255).astype(np.uint8)
