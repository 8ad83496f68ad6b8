"""Augmentation, inside the training step or kept as views; it is neither in Transform nor in the served model.

Both change RGB pixels in [0, 255] in the same way; the backbone's preprocessing comes after it. They differ in where
the random numbers come from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from config.augmentation import MIXING, AugmentationConfig
from config.errors import BadInputError
from modules.training import image_changes
from modules.training.rand_augment import rand_augment

_NUMBERS = 2**24  # float32 has so many numbers of equal distance in [0, 1)
SHEET_COLUMNS = 4

Draw = Callable[[str], tf.Tensor]
"""The name of a random number to that number of each image: float32 [batch], uniform in [0, 1)."""


class AugmentationError(BadInputError):
    """The augmentation doesn't fit the labels."""


def change(pixels: tf.Tensor, augmentation: AugmentationConfig, draw: Draw) -> tf.Tensor:
    """Changes each image by itself, as the configuration says, in the order of its fields.

    Args:
      pixels: float32 [batch, height, width, 3], RGB in [0, 255].
      augmentation: the section of a configuration; changes that mix images are left out.
      draw: gives random numbers.

    Returns:
      the same shape and range.
    """
    if augmentation.rotation or augmentation.crop or augmentation.translation:
        pixels = _warp(pixels, augmentation, draw)
    else:
        for axis, direction in ((2, "horizontal"), (1, "vertical")):
            if direction in _flips(augmentation):
                pixels = image_changes.flip(pixels, axis, draw(f"flip/{direction}") < 0.5)
    if share := augmentation.brightness:
        pixels = image_changes.brighten(pixels, _either_way(draw("brightness"), share))
    if share := augmentation.contrast:
        pixels = image_changes.stretch_contrast(pixels, 1 + _either_way(draw("contrast"), share))
    if share := augmentation.saturation:
        moved = _either_way(draw("saturation"), share)  # -1 is grey; at 1 the largest channel alone is left
        pixels = image_changes.saturate(pixels, (1 + moved) / (1 - moved + 2e-7))
    if share := augmentation.hue:
        pixels = image_changes.turn_hue(pixels, _either_way(draw("hue"), share / 2))  # 1 is half a turn either way
    if strength := augmentation.rand_augment:
        pixels = rand_augment(pixels, strength, draw)
    return pixels


def _flips(augmentation: AugmentationConfig) -> list[str]:
    return augmentation.flip.split("_and_") if augmentation.flip else []


def _warp(pixels: tf.Tensor, augmentation: AugmentationConfig, draw: Draw) -> tf.Tensor:
    """Flips, rotation, crop and translation as one interpolation."""
    angle = _either_way(draw("rotation"), math.radians(augmentation.rotation))
    zoom = [1 - augmentation.crop * draw(f"crop/{side}") for side in ("width", "height")]
    for index, direction in enumerate(("horizontal", "vertical")):
        if direction in _flips(augmentation):
            zoom[index] *= tf.where(draw(f"flip/{direction}") < 0.5, -1.0, 1.0)
    shift = [_either_way(draw(f"translation/{way}"), augmentation.translation) for way in ("x", "y")]
    return image_changes.warp(pixels, angle, (zoom[0], zoom[1]), (shift[0], shift[1]))


def _either_way(number: tf.Tensor, most: float) -> tf.Tensor:
    """Spreads numbers in [0, 1) over [-most, most)."""
    return (2 * number - 1) * most


_MIXING_LAYERS: dict[str, Callable[[Any, int], layers.Layer]] = {
    "mixup": lambda alpha, seed: layers.MixUp(alpha=alpha, seed=seed),
    "cutmix": lambda factor, seed: layers.CutMix(factor=factor, seed=seed),
}


class Augmentation:
    """A random change of a batch of pixels and, where images are mixed, of its labels; new in each call."""

    def __init__(self, augmentation: AugmentationConfig, output: str, seed: int):
        """Makes the sources of random numbers.

        Args:
          augmentation: the section of a configuration.
          output: the head's, which decides what a label looks like.
          seed: of all random numbers.

        Raises:
          AugmentationError: if labels of a sigmoid output were to be mixed.
        """
        active = augmentation.active()
        mixing = [name for name in MIXING if name in active]
        if mixing and output == "sigmoid":
            raise AugmentationError(
                f"augmentation.{mixing[0]} mixes labels of classes: head.output must not be sigmoid"
            )
        self._augmentation, self._active = augmentation, bool(active)
        self.random = keras.random.SeedGenerator(seed)
        self.mixing = [_MIXING_LAYERS[name](active[name], seed + 1 + index) for index, name in enumerate(mixing)]

    def __bool__(self) -> bool:
        return self._active

    def __call__(self, pixels: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Changes a batch.

        Args:
          pixels: float32 [batch, height, width, 3], RGB in [0, 255].
          labels: float32 [batch, classes].

        Returns:
          both, with the same shapes and ranges.
        """
        batch = tf.shape(pixels)[:1]
        pixels = change(pixels, self._augmentation, lambda _: keras.random.uniform(batch, seed=self.random))
        for layer in self.mixing:
            mixed = layer({"images": pixels, "labels": labels}, training=True)
            pixels, labels = mixed["images"], mixed["labels"]
        return tf.clip_by_value(tf.cast(pixels, tf.float32), 0.0, 255.0), tf.cast(labels, tf.float32)


def columns(augmentation: Augmentation, pixels: np.ndarray) -> list[np.ndarray]:
    """For a sheet: images as they are, then augmented three times; the augmentation's random state moves on.

    Args:
      augmentation: what to show.
      pixels: float32 [rows, height, width, 3], RGB in [0, 255].

    Returns:
      arrays of the same shape and range.
    """
    labels = tf.one_hot(tf.range(len(pixels)), len(pixels))
    augmented = (augmentation(tf.constant(pixels), labels)[0].numpy() for _ in range(SHEET_COLUMNS - 1))
    return [pixels, *augmented]


def write_sheet(columns: Sequence[np.ndarray], path: str | Path) -> None:
    """Writes a PNG to look at: a row an image, a column a variant of it.

    Args:
      columns: float32 [rows, height, width, 3] each, RGB in [0, 255].
      path: of the PNG file.
    """
    sheet = np.concatenate([np.concatenate(list(column), axis=0) for column in columns], axis=1)
    encoded = tf.io.encode_png(np.round(sheet).astype(np.uint8))
    tf.io.write_file(str(path), encoded)


class AugmentedClassifier(keras.Model):
    """Trains a classifier on augmented pixels; evaluates and predicts as the classifier does.

    Takes RGB pixels in [0, 255] in training and preprocessed images otherwise.
    """

    def __init__(
        self, classifier: keras.Model, augmentation: Augmentation, preprocess: Callable[[tf.Tensor], tf.Tensor]
    ):
        super().__init__(name="augmented_classifier")
        self.classifier = classifier
        # Tracked, so that their random states are saved and restored.
        self.augmentation_random, self.augmentation_mixing = augmentation.random, augmentation.mixing
        self.supports_jit = False  # XLA cannot compile a projection of images
        self._augmentation = augmentation
        self._preprocess = preprocess

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.classifier(images, training=training)

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        pixels, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        pixels, labels = self._augmentation(pixels, labels)
        return super().train_step((self._preprocess(pixels), labels, weights))


class Views:
    """Augmentation that can be kept: an image has the same views in every run, whatever batch it is in.

    View 0 of an image is the image itself. View n is random, and depends on the image's key, n and the seed alone. Its
    random numbers are hashes of these, so nothing here has state, and one operation changes a whole batch.
    """

    def __init__(self, augmentation: AugmentationConfig, seed: int):
        """Remembers what to do.

        Args:
          augmentation: the section of a configuration, without changes that mix images.
          seed: another one gives other views.
        """
        self._augmentation, self._seed = augmentation, seed

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

        def draw(name: str) -> tf.Tensor:
            named = tf.strings.join([keys, f"/{view}/{self._seed}/{name}"])
            return tf.cast(tf.strings.to_hash_bucket_strong(named, _NUMBERS, key=[0, 0]), tf.float32) / _NUMBERS

        return tf.clip_by_value(change(pixels, self._augmentation, draw), 0.0, 255.0)
