"""Trunk features: the trunk's activations for every image, computed once, and what says how they were made.

A folder of them holds `manifest.json` and, for each split, TFRecords of tf.Examples:

| feature       | type  | shape | value                                                             |
|---------------|-------|-------|-------------------------------------------------------------------|
| `image/key`   | bytes | [1]   | the image's key                                                   |
| `label`       | int64 | [1]   | index of its class                                                |
| `activations` | bytes | [1]   | array [views, *shape] of the manifest's dtype, little-endian      |
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from modules import backbones, features, heads, input_pipeline, trunk
from modules.errors import BadInputError
from modules.input_preprocessing import PREPROCESSING
from modules.views import Views

MANIFEST = "manifest.json"
ACTIVATIONS = "activations"

CACHED, PIXELS = "cached", "pixels"


@dataclass(frozen=True)
class Recipe:
    """All that trunk features depend on, besides the examples and the transform graph.

    Attributes:
      backbone: the section `backbone` of a configuration.
      layers: `training.fine_tune.layers`; None if nothing of the backbone is fine-tuned.
      pooling: `average` or `max` if the trunk ends with the head's pooling, see heads.fixed_pooling.
      dtype: `float16` or `float32`, of what is kept.
      views: how many of an image of the split `train`; of others there is one.
      augmentation: the section `augmentation`, and
      seed: of the views; both None for one view.
      always: keep the activations also where that doesn't pay.
    """

    backbone: Mapping[str, Any]
    layers: int | float | str | None
    pooling: str | None = None
    dtype: str = "float16"
    views: int = 1
    augmentation: Mapping[str, Any] | None = None
    seed: int | None = None
    always: bool = False


@dataclass(frozen=True)
class Manifest:
    """How the features in a folder were made.

    Attributes:
      mode: `cached`, or `pixels` if it doesn't pay to keep any: then there are none, and training reads images.
      reason: why it doesn't pay; empty if it does.
      cut: name of the trunk's last layer.
      pooled: whether the trunk ends with the head's pooling.
      shape: of one image's activations.
      dtype: `float16` or `float32`.
      views: of an image of the split `train`; of others there is one.
      weights: the trunk's, see trunk.digest.
    """

    mode: str
    reason: str
    cut: str
    pooled: bool
    shape: tuple[int, ...]
    dtype: str
    views: int
    weights: str

    def write(self, folder: str) -> None:
        content = json.dumps(dataclasses.asdict(self), indent=2)
        Path(folder, MANIFEST).write_text(content + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: str) -> Manifest:
        content = json.loads(Path(folder, MANIFEST).read_text(encoding="utf-8"))
        return cls(**{**content, "shape": tuple(content["shape"])})


class OtherWeightsError(BadInputError):
    """Activations are another trunk's than the one that is to serve."""


class NotKeptError(BadInputError):
    """Activations must be kept, and can't be."""


def refuse_unless_optional(reason: str, always: bool, views: int) -> None:
    """Raises NotKeptError, for this reason, if a configuration insists on kept activations."""
    if always:
        raise NotKeptError(f"trunk_features.mode: cached is not possible: {reason}; auto and pixels are")
    if views > 1:
        raise NotKeptError(f"trunk_features.views: {views} views can't be kept: {reason}; 1 is allowed")


def folder_of(file_pattern: str) -> str | None:
    """The folder of trunk features that a split's file pattern leads into; None if it holds something else."""
    folder = Path(file_pattern).parent.parent
    return str(folder) if (folder / MANIFEST).is_file() else None


class Extractor:
    """Turns raw examples into trunk features."""

    def __init__(self, recipe: Recipe, transform_graph: str):
        """Builds the trunk, with its weights.

        Args:
          recipe: what to compute.
          transform_graph: folder of the transform graph.

        Raises:
          BadInputError: if the backbone can't be built, or has no such layers.
        """
        keras.utils.clear_session()  # a layer to fine-tune has the same name here and in Trainer
        backbone = backbones.load(recipe.backbone)
        self._trunk, _ = trunk.cut_backbone(backbone, recipe.layers)
        self._pooled = recipe.pooling is not None and len(self._trunk.output.shape) == 4
        if self._pooled:
            self._trunk = keras.Model(self._trunk.input, heads.pool(self._trunk.output, str(recipe.pooling)))
        self._folded = trunk.folded(self._trunk)
        self._read = input_pipeline.transformer(tft.TFTransformOutput(transform_graph))
        self._views = Views(recipe.augmentation or {}, recipe.seed or 0)
        self._preprocess = PREPROCESSING[recipe.backbone["preprocessing"]]
        self._recipe = recipe
        # Traced once for each number of views, whatever the size of the batch.
        self._compute = {
            views: tf.function(
                functools.partial(self._computed, views),
                input_signature=[tf.TensorSpec([None], tf.string)],
                autograph=False,
            )
            for views in (1, recipe.views)
        }

    @property
    def manifest(self) -> Manifest:
        """What features made by this would be.

        Raises:
          NotKeptError: if they must be kept, and there is no trunk.
        """
        reason = trunk.why_not_keep(self._trunk, self._recipe.always)
        if reason:
            refuse_unless_optional(reason, self._recipe.always, self._recipe.views)
        return Manifest(
            mode=PIXELS if reason else CACHED,
            reason=reason,
            cut=self._trunk.layers[-1].name,
            pooled=self._pooled,
            shape=tuple(self._trunk.output.shape[1:]),
            dtype=self._recipe.dtype,
            views=self._recipe.views,
            weights=trunk.digest(self._trunk),
        )

    def __call__(self, serialized: tf.Tensor, views: int) -> tuple[tf.Tensor, ...]:
        """Computes the features of a batch.

        Args:
          serialized: string [batch], raw examples.
          views: of each image: as many as the recipe says, or 1.

        Returns:
          keys, string [batch]; labels, int64 [batch]; weights, float32 [batch]; activations [batch, views, *shape] of
          the manifest's dtype.
        """
        return self._compute[views](serialized)

    def _computed(self, number_of_views: int, serialized: tf.Tensor) -> tuple[tf.Tensor, ...]:
        inputs = self._read(serialized)
        keys = inputs[features.KEY]
        images = [inputs[features.TRANSFORMED_IMAGE]]
        for view in range(1, number_of_views):
            images.append(self._preprocess(self._views(inputs[features.TRANSFORMED_PIXELS], keys, view)))
        activations = tf.cast(self._folded(tf.concat(images, axis=0)), self._recipe.dtype)
        by_view = tf.reshape(activations, (number_of_views, -1, *activations.shape[1:]))
        activations = tf.stack(tf.unstack(by_view), axis=1)
        return keys, inputs[features.TRANSFORMED_LABEL], inputs[features.WEIGHT], activations


def encode(key: bytes, label: int, weight: float, activations: np.ndarray) -> bytes:
    """One image's features as a serialized tf.Example."""
    little_endian = activations.astype(activations.dtype.newbyteorder("<"), copy=False)
    values = {
        features.KEY: tf.train.Feature(bytes_list=tf.train.BytesList(value=[key])),
        features.TRANSFORMED_LABEL: tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
        features.WEIGHT: tf.train.Feature(float_list=tf.train.FloatList(value=[weight])),
        ACTIVATIONS: tf.train.Feature(bytes_list=tf.train.BytesList(value=[little_endian.tobytes()])),
    }
    return tf.train.Example(features=tf.train.Features(feature=values)).SerializeToString(deterministic=True)


def decode(files: Sequence[str], manifest: Manifest, batch_size: int) -> tf.data.Dataset:
    """Batches of (keys, labels, weights, activations), as `Extractor` gave them, one image's after the other's."""
    spec = {
        features.KEY: tf.io.FixedLenFeature([], tf.string),
        features.TRANSFORMED_LABEL: tf.io.FixedLenFeature([], tf.int64),
        features.WEIGHT: tf.io.FixedLenFeature([], tf.float32),
        ACTIVATIONS: tf.io.FixedLenFeature([], tf.string),
    }

    def parse(serialized: tf.Tensor) -> tuple[tf.Tensor, ...]:
        parsed = tf.io.parse_example(serialized, spec)
        flat = tf.io.decode_raw(parsed[ACTIVATIONS], tf.as_dtype(manifest.dtype))
        activations = tf.reshape(flat, (tf.shape(serialized)[0], -1, *manifest.shape))
        return parsed[features.KEY], parsed[features.TRANSFORMED_LABEL], parsed[features.WEIGHT], activations

    return tf.data.TFRecordDataset(files).batch(batch_size).map(parse)
