"""From example files to batches: the transform graph, then labels as the loss takes them."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence

import tensorflow as tf
import tensorflow_transform as tft

from modules import features
from modules.errors import BadInputError
from modules.losses import Labels

_SHUFFLE_BUFFER = 4096  # encoded images; ImageExampleGen has already put them in the order of their hashes
_READ_AHEAD = 2  # batches


class EmptySplitError(BadInputError):
    """A split has no examples."""


def prefetched(batches: tf.data.Dataset, count: int) -> tf.data.Dataset:
    """The same batches, `count` of them prepared ahead.

    With tf.data's autotune off: it stalls the ends of epochs by seconds on a machine with few cores.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.prefetch(count).with_options(options)


def transformer(
    transform_output: tft.TFTransformOutput, extra: Sequence[str] = ()
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """What reads raw examples through the transform graph.

    Args:
      transform_output: the graph.
      extra: names of bytes features to be passed on as they are.

    Returns:
      a function of serialized examples, string [batch], to the graph's outputs, see modules/features.py, and the extra
      ones, string [batch, 1].
    """
    transform = transform_output.transform_features_layer()
    spec = {name: tf.io.FixedLenFeature([1], tf.string) for name in (features.ENCODED, features.LABEL, *extra)}

    def read(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(serialized, spec)
        passed_on = {name: parsed.pop(name) for name in extra}
        return transform(parsed) | passed_on

    return read


class Split:
    """One split of the examples."""

    def __init__(self, file_patterns: Sequence[str], transform_output: tft.TFTransformOutput, classes: Sequence[str]):
        """Finds the files; nothing is read yet."""
        files = sorted(file for pattern in file_patterns for file in tf.io.gfile.glob(pattern))
        self._records = tf.data.TFRecordDataset(files, compression_type="GZIP")
        self._read = transformer(transform_output, (features.KEY,))
        self._file_patterns, self._classes = file_patterns, classes
        self._trained_on = features.TRANSFORMED_IMAGE

    def as_pixels(self) -> Split:
        """The same, but its training epochs give RGB pixels in [0, 255], for augmentation."""
        other = copy.copy(self)
        other._trained_on = features.TRANSFORMED_PIXELS
        return other

    @functools.cached_property
    def counts(self) -> list[int]:
        """Number of examples of each class, by index.

        Reads labels only; a label that the transform graph doesn't know can't be trained on.

        Raises:
          EmptySplitError: if there is nothing.
        """
        spec = {features.LABEL: tf.io.FixedLenFeature([], tf.string)}
        found = dict.fromkeys(self._classes, 0)
        for batch in self._records.batch(1024).map(lambda records: tf.io.parse_example(records, spec)):
            for label in batch[features.LABEL].numpy():
                found[label.decode("utf-8")] = found.get(label.decode("utf-8"), 0) + 1
        if not any(found.values()):
            raise EmptySplitError(f"no examples in {self._file_patterns}: too few images for this split's share")
        return [found[name] for name in self._classes]

    @property
    def images(self) -> int:
        """Number of examples."""
        return sum(self.counts)

    def steps(self, batch_size: int) -> int:
        return -(-self.images // batch_size)

    def training_epoch(
        self, epoch: int, seed: int, batch_size: int, labels: Labels, drop_remainder: bool
    ) -> tf.data.Dataset:
        """The batches of one epoch, in an order that depends on seed and epoch alone.

        Args:
          epoch: counted from 0.
          seed: of the shuffling.
          batch_size: images a step.
          labels: how labels are encoded; with weights, each batch carries its examples' weights too.
          drop_remainder: leave out a last batch that is smaller.
        """
        shuffled = self._records.shuffle(
            min(self.images, _SHUFFLE_BUFFER), seed=seed + epoch, reshuffle_each_iteration=False
        )
        return self._batches(shuffled, self._trained_on, batch_size, labels, drop_remainder)

    def evaluation(self, batch_size: int, labels: Labels) -> tf.data.Dataset:
        """All batches, preprocessed, unweighted, always in the same order."""
        return self._batches(self._records, features.TRANSFORMED_IMAGE, batch_size, labels.unweighted(), False)

    def sample(self, count: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Up to `count` images, float32 [count, height, width, 3], RGB in [0, 255], and their keys, string [count]."""
        inputs = self._read(next(iter(self._records.batch(count))))
        return inputs[features.TRANSFORMED_PIXELS], tf.reshape(inputs[features.KEY], [-1])

    def _batches(
        self, records: tf.data.Dataset, image: str, batch_size: int, labels: Labels, drop_remainder: bool
    ) -> tf.data.Dataset:
        def prepare(serialized: tf.Tensor) -> tuple[tf.Tensor, ...]:
            transformed = self._read(serialized)
            return transformed[image], *labels.encode(transformed[features.TRANSFORMED_LABEL])

        batches = records.batch(batch_size, drop_remainder=drop_remainder)
        steps = self.images // batch_size if drop_remainder else self.steps(batch_size)
        prepared = batches.map(prepare, num_parallel_calls=_READ_AHEAD)
        return prefetched(prepared.apply(tf.data.experimental.assert_cardinality(steps)), _READ_AHEAD)
