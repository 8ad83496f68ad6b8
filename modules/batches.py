"""How examples are put together to batches, whatever they are read from."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Protocol

import tensorflow as tf

from modules.losses import Labels


@dataclass(frozen=True)
class Batches:
    """How examples are put together.

    Attributes:
      seed: of their order in training.
      size: images a batch.
      labels: how labels are encoded; with weights, each batch carries its examples' weights too.
      drop_remainder: leave out an epoch's last batch if it is smaller.
    """

    seed: int
    size: int
    labels: Labels
    drop_remainder: bool

    def steps(self, images: int) -> int:
        """How many batches there are of so many images."""
        return images // self.size if self.drop_remainder else -(-images // self.size)

    def unweighted(self) -> Batches:
        """The same for evaluation, where every image counts as one."""
        return dataclasses.replace(self, labels=self.labels.unweighted(), drop_remainder=False)


class Examples(Protocol):
    """One split, of whatever kind."""

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
        """Every image once, in an order that depends on seed and epoch alone.

        Args:
          epoch: counted from 0.
          batches: how they are put together.
        """

    def evaluation(self, batches: Batches) -> tf.data.Dataset:
        """All images as they are, unweighted, always in the same order."""


def prefetched(batches: tf.data.Dataset, count: int) -> tf.data.Dataset:
    """The same batches, `count` of them prepared ahead.

    With tf.data's autotune off: it stalls the ends of epochs by seconds on a machine with few cores.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.prefetch(count).with_options(options)
