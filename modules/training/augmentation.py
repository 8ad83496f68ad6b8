"""Augmentation, inside the training step or kept as views; it is neither in Transform nor in the served model.

Layers are Keras's own preprocessing layers on RGB pixels in [0, 255]; the backbone's preprocessing comes after them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from config.augmentation import MIXING, AugmentationConfig
from config.errors import BadInputError

_VALUE_RANGE = (0, 255)
_SEEDS = 2**31 - 1
SHEET_COLUMNS = 4


class AugmentationError(BadInputError):
    """The augmentation doesn't fit the labels."""


# Each option to the layers it means; `strength` is its value. None and 0 mean none.
_IMAGE_LAYERS: dict[str, Callable[[Any, int], layers.Layer]] = {
    "flip": lambda mode, seed: layers.RandomFlip(mode, seed=seed),
    # Full turns, positive and negative; what is turned in from outside is a mirror image.
    "rotation": lambda factor, seed: layers.RandomRotation(factor / 360.0, seed=seed),
    # Cuts away up to this share of each side, and stretches the rest.
    "crop": lambda share, seed: layers.RandomZoom((-share, 0.0), (-share, 0.0), seed=seed),
    "translation": lambda share, seed: layers.RandomTranslation(share, share, seed=seed),
    "brightness": lambda factor, seed: layers.RandomBrightness(factor, value_range=_VALUE_RANGE, seed=seed),
    "contrast": lambda factor, seed: layers.RandomContrast(factor, value_range=_VALUE_RANGE, seed=seed),
    "saturation": lambda factor, seed: layers.RandomSaturation(
        (0.5 - factor / 2, 0.5 + factor / 2), value_range=_VALUE_RANGE, seed=seed
    ),
    "hue": lambda factor, seed: layers.RandomHue(factor, value_range=_VALUE_RANGE, seed=seed),
    "rand_augment": lambda strength, seed: layers.RandAugment(
        value_range=_VALUE_RANGE, num_ops=2, factor=strength, seed=seed
    ),
}
_MIXING_LAYERS: dict[str, Callable[[Any, int], layers.Layer]] = {
    "mixup": lambda alpha, seed: layers.MixUp(alpha=alpha, seed=seed),
    "cutmix": lambda factor, seed: layers.CutMix(factor=factor, seed=seed),
}


class Augmentation:
    """A random change of a batch of pixels and, where images are mixed, of its labels."""

    def __init__(self, augmentation: AugmentationConfig, output: str, seed: int):
        """Makes the layers.

        Args:
          augmentation: the section of a configuration.
          output: the head's, which decides what a label looks like.
          seed: of all layers.

        Raises:
          AugmentationError: if labels of a sigmoid output were to be mixed.
        """
        active = augmentation.active()
        mixing = [name for name in MIXING if name in active]
        if mixing and output == "sigmoid":
            raise AugmentationError(
                f"augmentation.{mixing[0]} mixes labels of classes: head.output must not be sigmoid"
            )
        seeds = iter(range(seed, seed + len(_IMAGE_LAYERS) + len(_MIXING_LAYERS)))
        self._image = [make(active[name], next(seeds)) for name, make in _IMAGE_LAYERS.items() if name in active]
        self._mixing = [make(active[name], next(seeds)) for name, make in _MIXING_LAYERS.items() if name in active]

    def __bool__(self) -> bool:
        return bool(self._image or self._mixing)

    @property
    def layers(self) -> list[layers.Layer]:
        """All layers, in the order they are applied; their random states are among their variables."""
        return [*self._image, *self._mixing]

    def __call__(self, pixels: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Changes a batch.

        Args:
          pixels: float32 [batch, height, width, 3], RGB in [0, 255].
          labels: float32 [batch, classes].

        Returns:
          both, with the same shapes and ranges.
        """
        for layer in self._image:
            pixels = layer(pixels, training=True)
        for layer in self._mixing:
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
        self.augmentation_layers = augmentation.layers  # tracked, so that their random states are saved and restored
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

    View 0 of an image is the image itself. View n is random, and depends on the image's key, n and the seed alone.
    """

    def __init__(self, augmentation: AugmentationConfig, seed: int):
        """Makes the layers.

        Args:
          augmentation: the section of a configuration, without changes that mix images.
          seed: another one gives other views.
        """
        self._augmentation = Augmentation(augmentation, output="softmax", seed=seed)
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
