"""Trunk features in arrays: images and views in any order, without reading the files again in each epoch."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from modules.data import trunk_features
from modules.data.input_pipeline import Batches, EmptySplitError, prefetched

_READ_AHEAD = 4  # batches
_BATCH = 256  # images read, or run through the tail, at a time


class FeatureTable:
    """One split's features, with the methods of `Examples`. In training each image has one of its views.

    Attributes:
      images: number of examples.
      counts: number of examples of each class, by index.
      weighted: whether any example has a weight other than 1.
      activations: [images, views, ...].
      labels: int64 [images], indices of the classes.
      weights: float32 [images], of the examples.
      held: bytes of memory that the activations take; none if they are mapped into it.
    """

    def __init__(self, activations: np.ndarray, labels: np.ndarray, weights: np.ndarray, classes: int):
        """Wraps arrays, which are in memory or mapped from a file.

        Args:
          activations: [images, views, ...].
          labels: int64 [images], indices of the classes.
          weights: float32 [images], of the examples.
          classes: how many there are.
        """
        self.activations, self.labels, self.weights = activations, labels, weights
        self.weighted = bool((weights != 1).any())
        self.images = len(labels)
        self.counts = np.bincount(labels, minlength=classes).tolist()
        self.held = 0 if isinstance(activations, np.memmap) else activations.nbytes

    @classmethod
    def read(
        cls, file_patterns: Sequence[str], manifest: trunk_features.Manifest, classes: int, memory: int
    ) -> FeatureTable:
        """Reads a split, in the order of the images' keys.

        Args:
          file_patterns: of its TFRecords.
          manifest: what is in them.
          classes: how many there are.
          memory: bytes that may be used. Larger arrays are mapped from a temporary file without a name, which the
            system deletes when the process ends.

        Raises:
          EmptySplitError: if there is nothing.
        """
        files = sorted(file for pattern in file_patterns for file in tf.io.gfile.glob(pattern))
        columns = [
            (keys, labels, weights, activations.shape[1])
            for keys, labels, weights, activations in trunk_features.decode(files, manifest, _BATCH).as_numpy_iterator()
        ]
        if not columns:
            raise EmptySplitError(f"no examples in {file_patterns}: too few images for this split's share")
        keys, labels, weights = (np.concatenate([column[part] for column in columns]) for part in range(3))
        order = np.argsort(keys)
        rows = np.empty_like(order)
        rows[order] = np.arange(len(order))
        activations = _allocate((len(keys), columns[0][3], *manifest.shape), manifest.dtype, memory)
        start = 0
        for _, _, _, batch in trunk_features.decode(files, manifest, _BATCH).as_numpy_iterator():
            activations[rows[start : start + len(batch)]] = batch
            start += len(batch)
        return cls(activations, labels[order], weights[order], classes)

    def size_behind(self, tail: keras.Model) -> int:
        """Bytes that `behind` takes."""
        return int(np.prod(self._shape_behind(tail))) * np.dtype(np.float32).itemsize

    def behind(self, tail: keras.Model) -> FeatureTable:
        """The output of a model for all of them in inference mode, float32, in memory."""
        results = np.empty(self._shape_behind(tail), np.float32)
        run = tf.function(
            lambda batch: tail(batch, training=False),
            input_signature=[tf.TensorSpec((None, *self.activations.shape[2:]), tf.float32)],
            autograph=False,
        )
        for view in range(results.shape[1]):
            for start in range(0, self.images, _BATCH):
                batch = self.activations[start : start + _BATCH, view]
                results[start : start + _BATCH, view] = run(tf.constant(batch, tf.float32))
        return FeatureTable(results, self.labels, self.weights, len(self.counts))

    def rows(self, chosen: np.ndarray, more: FeatureTable | None = None) -> FeatureTable:
        """A table of some images, in memory.

        Args:
          chosen: int64 [images], indices of this table and then, counted on, of `more`.
          more: another table of the same shape; its images may have fewer views, and repeat their first one.
        """
        own, others = chosen[chosen < self.images], chosen[chosen >= self.images] - self.images
        tables = [(self, own)] + ([(more, others)] if more and len(others) else [])
        views = self.activations.shape[1]
        activations = np.empty((len(chosen), *self.activations.shape[1:]), self.activations.dtype)
        start = 0
        for table, indices in tables:
            part = table.activations[indices]
            activations[start : start + len(indices)] = part if part.shape[1] == views else part[:, :1]
            start += len(indices)
        labels = np.concatenate([table.labels[indices] for table, indices in tables])
        weights = np.concatenate([table.weights[indices] for table, indices in tables])
        return FeatureTable(activations, labels, weights, len(self.counts))

    def drawing(self, views: int | None) -> FeatureTable:
        """The same images, with only so many of their views; None: all."""
        drawn = self.activations[:, :views]
        table = FeatureTable(drawn, self.labels, self.weights, len(self.counts))
        table.held = self.held
        return table

    @property
    def bytes_of_an_image(self) -> int:
        """Bytes that the activations of all its views take."""
        return int(np.prod(self.activations.shape[1:])) * self.activations.itemsize

    def _shape_behind(self, tail: keras.Model) -> tuple[int, ...]:
        return (*self.activations.shape[:2], *tail.output.shape[1:])

    def training_epoch(self, epoch: int, batches: Batches) -> tf.data.Dataset:
        rng = np.random.default_rng([batches.seed, epoch])
        order = rng.permutation(self.images)
        views = rng.integers(self.activations.shape[1], size=self.images)
        return self._batched(order, views, batches)

    def evaluation(self, batches: Batches) -> tf.data.Dataset:
        return self._batched(np.arange(self.images), np.zeros(self.images, int), batches.unweighted())

    def _batched(self, order: np.ndarray, views: np.ndarray, batches: Batches) -> tf.data.Dataset:
        shape = self.activations.shape[2:]
        known = batches.size if batches.drop_remainder else None

        def gather(rows: np.ndarray, views: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            # TensorFlow keeps this function until the process ends, so it must not hold an epoch's order.
            activations = self.activations[rows, views].astype(np.float32, copy=False)
            return activations, self.labels[rows], self.weights[rows]

        def prepare(rows: tf.Tensor, views: tf.Tensor) -> tuple[tf.Tensor, ...]:
            parts = tf.numpy_function(gather, (rows, views), (tf.float32, tf.int64, tf.float32))
            activations, index, weight = (
                tf.ensure_shape(part, (known, *rest)) for part, rest in zip(parts, (shape, (), ()), strict=True)
            )
            return activations, *batches.labels.encode(index, weight)

        return prefetched(_in_batches((order, views), batches).map(prepare), _READ_AHEAD)


def _in_batches(columns: tuple[np.ndarray, ...], batches: Batches) -> tf.data.Dataset:
    """Batches of arrays [images]. With an element for each image, tf.data would take longer than to copy features."""
    size = batches.size
    whole = len(columns[0]) // size * size
    full = tf.data.Dataset.from_tensor_slices(tuple(column[:whole].reshape(-1, size) for column in columns))
    if batches.drop_remainder or whole == len(columns[0]):
        return full
    return full.concatenate(tf.data.Dataset.from_tensors(tuple(column[whole:] for column in columns)))


def _allocate(shape: tuple[int, ...], dtype: str, memory: int) -> np.ndarray:
    if int(np.prod(shape)) * np.dtype(dtype).itemsize <= memory:
        return np.empty(shape, dtype)
    with tempfile.TemporaryDirectory() as folder:
        return np.memmap(Path(folder, "activations"), dtype, "w+", shape=shape)
