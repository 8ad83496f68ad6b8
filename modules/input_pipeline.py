"""From example files to batches: the transform graph, then labels as the loss takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf
import tensorflow_transform as tft

from modules import features, losses
from modules.errors import BadInputError

_SHUFFLE_BUFFER = 4096  # encoded images; ImageExampleGen has already put them in the order of their hashes
_READ_AHEAD = 2  # batches; fixed, and autotune off: it stalls the ends of epochs by seconds on a machine with few cores


class EmptySplitError(BadInputError):
    """A split has no examples."""


@dataclass(frozen=True)
class Labels:
    """How labels become what the loss takes: see modules/losses.py."""

    classes: Sequence[str]
    output: str
    weights: Sequence[float] | None = None


class Split:
    """One split of the examples.

    Attributes:
      images: number of examples.
      counts: number of examples of each class, by index.
    """

    def __init__(self, file_patterns: Sequence[str], transform_output: tft.TFTransformOutput, classes: Sequence[str]):
        """Finds the files and counts what is in them.

        Raises:
          EmptySplitError: if there is nothing.
        """
        files = sorted(file for pattern in file_patterns for file in tf.io.gfile.glob(pattern))
        self._records = tf.data.TFRecordDataset(files, compression_type="GZIP")
        self._transform = transform_output.transform_features_layer()
        self.counts = self._count(classes)
        self.images = sum(self.counts)
        if self.images == 0:
            raise EmptySplitError(f"no examples in {file_patterns}: too few images for this split's share")

    def steps(self, batch_size: int) -> int:
        return -(-self.images // batch_size)

    def training_epoch(
        self, epoch: int, seed: int, batch_size: int, labels: Labels, as_pixels: bool, drop_remainder: bool = False
    ) -> tf.data.Dataset:
        """The batches of one epoch, in an order that depends on seed and epoch alone.

        Args:
          epoch: counted from 0.
          seed: of the shuffling.
          batch_size: images a step.
          labels: how labels are encoded; with weights, each batch carries its examples' weights too.
          as_pixels: RGB pixels in [0, 255] for augmentation, instead of preprocessed images.
          drop_remainder: leave out a last batch that is smaller.
        """
        image = features.TRANSFORMED_PIXELS if as_pixels else features.TRANSFORMED_IMAGE
        shuffled = self._records.shuffle(
            min(self.images, _SHUFFLE_BUFFER), seed=seed + epoch, reshuffle_each_iteration=False
        )
        return self._batches(shuffled, image, batch_size, labels, drop_remainder)

    def evaluation(self, batch_size: int, labels: Labels) -> tf.data.Dataset:
        """All batches, preprocessed, unweighted, always in the same order."""
        unweighted = Labels(labels.classes, labels.output)
        return self._batches(self._records, features.TRANSFORMED_IMAGE, batch_size, unweighted, False)

    def sample_pixels(self, count: int) -> tf.Tensor:
        """Up to `count` images, float32 [count, height, width, 3], RGB in [0, 255]."""
        batch = next(iter(self._records.batch(count)))
        return self._transformed(batch)[features.TRANSFORMED_PIXELS]

    def _batches(
        self, records: tf.data.Dataset, image: str, batch_size: int, labels: Labels, drop_remainder: bool
    ) -> tf.data.Dataset:
        def prepare(serialized: tf.Tensor) -> tuple[tf.Tensor, ...]:
            transformed = self._transformed(serialized)
            index = transformed[features.TRANSFORMED_LABEL]
            target = losses.encode_labels(index, len(labels.classes), labels.output)
            if labels.weights is None:
                return transformed[image], target
            return transformed[image], target, tf.gather(tf.constant(labels.weights, tf.float32), index)

        batches = records.batch(batch_size, drop_remainder=drop_remainder)
        steps = self.images // batch_size if drop_remainder else self.steps(batch_size)
        options = tf.data.Options()
        options.autotune.enabled = False
        return (
            batches.map(prepare, num_parallel_calls=_READ_AHEAD)
            .apply(tf.data.experimental.assert_cardinality(steps))
            .prefetch(_READ_AHEAD)
            .with_options(options)
        )

    def _transformed(self, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        spec = {name: tf.io.FixedLenFeature([1], tf.string) for name in (features.ENCODED, features.LABEL)}
        return self._transform(tf.io.parse_example(serialized, spec))

    def _count(self, classes: Sequence[str]) -> list[int]:
        """Reads labels only; a label that the transform graph doesn't know can't be trained on."""
        spec = {features.LABEL: tf.io.FixedLenFeature([], tf.string)}
        found = dict.fromkeys(classes, 0)
        for batch in self._records.batch(1024).map(lambda records: tf.io.parse_example(records, spec)):
            for label in batch[features.LABEL].numpy():
                found[label.decode("utf-8")] = found.get(label.decode("utf-8"), 0) + 1
        return [found[name] for name in classes]
