"""Views: augmentation that can be kept. An image has the same views in every run, whatever batch it is in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from modules.augmentation import Augmentation

_SEEDS = 2**31 - 1


class Views:
    """View 0 of an image is the image; view n is augmented at random, by its key, n and the seed alone."""

    def __init__(self, settings: Mapping[str, Any], seed: int):
        """Makes the layers.

        Args:
          settings: the section `augmentation` of a configuration; mixing images is not among it.
          seed: another one gives other views.
        """
        self._augmentation = Augmentation(settings, output="softmax", seed=seed)
        self._seed = seed
        # Every random layer, also inside RandAugment, draws from such a state and from nothing else.
        variables = [variable for layer in self._augmentation.layers for variable in layer.variables]
        self._states = [v.value for v in variables if v.dtype in ("uint32", "int64") and tuple(v.shape) == (2,)]

    def __call__(self, pixels: tf.Tensor, keys: tf.Tensor, view: int) -> tf.Tensor:
        """Makes one view of each image.

        Args:
          pixels: float32 [batch, height, width, 3], RGB in [0, 255].
          keys: strings [batch], different for different images.
          view: its number.

        Returns:
          the same shape and range.
        """
        if view == 0:
            return pixels
        seeds = tf.strings.to_hash_bucket_fast(tf.strings.join([keys, f"/{view}/{self._seed}"]), _SEEDS)
        return tf.map_fn(
            lambda one: self._augmented(*one), (pixels, seeds), parallel_iterations=1, fn_output_signature=tf.float32
        )

    def _augmented(self, pixels: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        for number, state in enumerate(self._states):
            state.assign(tf.stack([tf.cast(seed, state.dtype), tf.constant(number, state.dtype)]))
        label = tf.ones((1, 1))
        return tf.ensure_shape(self._augmentation(pixels[None], label)[0][0], pixels.shape)
