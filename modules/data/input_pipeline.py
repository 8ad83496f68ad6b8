"""From example files to batches: the transform graph, then labels in the form that the loss takes."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from config.errors import BadInputError
from modules.data import features, transform_graph
from modules.training.losses import Labels

_SHUFFLE_BUFFER = 4096  # encoded images; ImageExampleGen has already put them in the order of their hashes
_READ_AHEAD = 2  # batches


class EmptySplitError(BadInputError):
    """A split has no examples."""


@dataclass(frozen=True)
class Batches:
    """How examples become batches.

    Attributes:
      seed: of their order in training.
      size: images per batch.
      labels: how labels are encoded; with weights, each batch has the weights of its examples too.
      drop_remainder: whether the last batch of an epoch is left out if it is smaller.
    """

    seed: int
    size: int
    labels: Labels
    drop_remainder: bool

    def steps(self, images: int) -> int:
        """Number of batches in an epoch of this many images."""
        return images // self.size if self.drop_remainder else -(-images // self.size)

    def unweighted(self) -> Batches:
        """The same for evaluation, where every image counts as one."""
        return dataclasses.replace(self, labels=self.labels.unweighted(), drop_remainder=False)


class Examples(Protocol):
    """One split: images, or kept activations."""

    @property
    def images(self) -> int:
        """Number of examples."""

    @property
    def counts(self) -> list[int]:
        """Number of examples of each class, by index."""

    @property
    def weighted(self) -> bool:
        """Whether any example has a weight other than 1."""

    def training_epoch(self, epoch: int, batches: Batches) -> tf.data.Dataset:
        """Every image once, in an order that depends only on the seed and the epoch.

        Args:
          epoch: counted from 0.
          batches: how the examples are batched.
        """

    def evaluation(self, batches: Batches) -> tf.data.Dataset:
        """All images as they are, unweighted, always in the same order."""


def prefetched(batches: tf.data.Dataset, count: int) -> tf.data.Dataset:
    """The same batches, `count` of them prepared ahead.

    tf.data's autotune is off: it stalls the end of each epoch by seconds on a machine with few cores.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.prefetch(count).with_options(options)


class Split:
    """One split as preprocessed images; it has the methods of `Examples`."""

    def __init__(self, file_patterns: Sequence[str], transform_output: tft.TFTransformOutput, classes: Sequence[str]):
        """Finds the files; nothing is read yet."""
        files = sorted(file for pattern in file_patterns for file in tf.io.gfile.glob(pattern))
        self._records = tf.data.TFRecordDataset(files, compression_type="GZIP")
        self._read = transform_graph.reader(transform_output)
        self._file_patterns, self._classes = file_patterns, classes
        self._trained_on = features.TRANSFORMED_IMAGE

    def as_pixels(self) -> Split:
        """The same, but its training epochs give RGB pixels in [0, 255], for augmentation."""
        other = copy.copy(self)
        other._trained_on = features.TRANSFORMED_PIXELS
        return other

    @property
    def counts(self) -> list[int]:
        """Number of examples of each class, by index.

        Examples whose label the transform graph does not know are not counted.

        Raises:
          EmptySplitError: if there is nothing.
        """
        return self._labels_and_weights[0]

    @property
    def weighted(self) -> bool:
        """Whether any example has a weight other than 1."""
        return self._labels_and_weights[1]

    @functools.cached_property
    def _labels_and_weights(self) -> tuple[list[int], bool]:
        spec = {
            features.LABEL: tf.io.FixedLenFeature([], tf.string),
            features.WEIGHT: tf.io.FixedLenFeature([], tf.float32),
        }
        found, weighted = dict.fromkeys(self._classes, 0), False
        for batch in self._records.batch(1024).map(lambda records: tf.io.parse_example(records, spec)):
            weighted = weighted or bool((batch[features.WEIGHT].numpy() != 1).any())
            for label in batch[features.LABEL].numpy():
                found[label.decode("utf-8")] = found.get(label.decode("utf-8"), 0) + 1
        if not any(found.values()):
            raise EmptySplitError(f"no examples in {self._file_patterns}: too few images for this split's share")
        return [found[name] for name in self._classes], weighted

    @property
    def images(self) -> int:
        """Number of examples."""
        return sum(self.counts)

    def training_epoch(self, epoch: int, batches: Batches) -> tf.data.Dataset:
        shuffled = self._records.shuffle(
            min(self.images, _SHUFFLE_BUFFER), seed=batches.seed + epoch, reshuffle_each_iteration=False
        )
        return self._batched(shuffled, self._trained_on, batches)

    def evaluation(self, batches: Batches) -> tf.data.Dataset:
        return self._batched(self._records, features.TRANSFORMED_IMAGE, batches.unweighted())

    def sample(self, count: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Up to `count` images, float32 [count, height, width, 3], RGB in [0, 255], and their keys, string [count]."""
        inputs = self._read(next(iter(self._records.batch(count))))
        return inputs[features.TRANSFORMED_PIXELS], inputs[features.KEY]

    def raw(self, count: int) -> tuple[list[bytes], tf.Tensor]:
        """Up to `count` serialized raw examples, and their images as the backbone takes them."""
        serialized = next(iter(self._records.batch(count)))
        return serialized.numpy().tolist(), self._read(serialized)[features.TRANSFORMED_IMAGE]

    def _batched(self, records: tf.data.Dataset, image: str, batches: Batches) -> tf.data.Dataset:
        """Calls the transform graph from Python, so that it is no part of the dataset.

        TensorFlow rewrites a dataset's graph for each iterator, of which Keras makes several per epoch. With the
        graph's decoders, about 100 functions, that took 1 to 3 s on one device and about 20 s on two.
        """

        def prepare(serialized: tf.Tensor) -> tuple[tf.Tensor, ...]:
            transformed = self._read(serialized)
            index, weight = transformed[features.TRANSFORMED_LABEL], transformed[features.WEIGHT]
            return transformed[image], *batches.labels.encode(index, weight)

        def in_python(serialized: np.ndarray) -> list[np.ndarray]:
            with tf.device("CPU"):
                return [np.asarray(part) for part in prepare(tf.constant(serialized))]  # no copies

        def through_python(serialized: tf.Tensor) -> tuple[tf.Tensor, ...]:
            # If it had a state, TensorFlow's determinism would forbid several calls at a time.
            parts = tf.numpy_function(in_python, [serialized], [part.dtype for part in signature], stateful=False)
            return tuple(tf.ensure_shape(part, known.shape) for part, known in zip(parts, signature, strict=True))

        batched = records.batch(batches.size, drop_remainder=batches.drop_remainder)
        signature = batched.map(prepare).element_spec
        prepared = batched.map(through_python, num_parallel_calls=_READ_AHEAD)
        cardinality = tf.data.experimental.assert_cardinality(batches.steps(self.images))
        return prefetched(prepared.apply(cardinality), _READ_AHEAD)
