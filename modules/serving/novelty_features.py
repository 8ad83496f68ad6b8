"""The features that the novelty is computed from, of images of train and eval: the pooled output of the backbone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from config.head import HeadConfig
from config.training import Layers
from modules import trunk
from modules.backbones import blocks
from modules.classifier import Classifier
from modules.data.cached_features import FeatureTable
from modules.data.input_pipeline import Batches, Split
from modules.data.training_data import TrainingData
from modules.pooling import pool

_MOST_IMAGES = 10_000  # of each split
_BATCH = 256  # kept activations that go through the layers behind them at a time


@dataclass(frozen=True)
class Features:
    """Features of the images of one split.

    Attributes:
      values: float32 [images, features].
      labels: int64 [images], indices of the classes.
    """

    values: np.ndarray
    labels: np.ndarray


def pooled(features: keras.KerasTensor, head: HeadConfig) -> keras.KerasTensor:
    """What the head begins with if that is a fixed pooling, the average over the places of a feature map otherwise.

    Args:
      features: what the backbone gives to the head, [batch, height, width, channels] or [batch, features].
      head: the section of a configuration.

    Returns:
      [batch, features].
    """
    return pool(features, head.fixed_pooling or "average")


def width(backbone: keras.Model, head: HeadConfig) -> int:
    """How many of the pooled features count, the last ones: all, or those of the last of several blocks.

    Earlier blocks tell apart colours and textures, which vary within the classes as much as beyond them.
    """
    return blocks.widths(backbone)[-1] if head.pooled_blocks else backbone.output.shape[-1]


def read(
    data: TrainingData, built: Classifier, layers: Layers | None, head: HeadConfig, batches: Batches
) -> tuple[Features, Features]:
    """The features of train and eval: up to 10,000 images of each, drawn at random, without augmentation.

    Args:
      data: both splits. Kept activations go through the layers behind them; images through the whole backbone.
      built: the trained classifier, in float32.
      layers: by which the trunk was cut; see PhasesOnFeatures.
      head: the section of a configuration.
      batches: how images are batched, with labels of one column per class.
    """
    last = width(built.backbone, head)
    if data.features is None or data.manifest is None:
        whole = _function(keras.Model(built.backbone.input, pooled(built.backbone.output, head)))
        train, evaluation = (_of_images(split, whole, batches) for split in data.images)
        return train, evaluation
    behind: Callable[[tf.Tensor], tf.Tensor] = tf.identity  # the trunk may end with the pooling already
    if not data.manifest.pooled:
        _, tail = trunk.cut_backbone(built.backbone, layers)
        behind = _function(keras.Model(tail.input, pooled(tail.output, head)))
    train, evaluation = (_of_activations(table, behind, batches.seed, last) for table in data.features)
    return train, evaluation


def _of_activations(table: FeatureTable, behind: Callable[[tf.Tensor], tf.Tensor], seed: int, last: int) -> Features:
    chosen = np.sort(np.random.default_rng(seed).permutation(table.images)[:_MOST_IMAGES])
    parts = [
        behind(tf.constant(table.activations[rows, 0], tf.float32)).numpy()[:, -last:]
        for rows in np.array_split(chosen, -(-len(chosen) // _BATCH))
    ]
    return Features(np.concatenate(parts), table.labels[chosen])


def _of_images(split: Split, whole: Callable[[tf.Tensor], tf.Tensor], batches: Batches) -> Features:
    """Of the first images; ImageExampleGen has put them in the order of their hashes, which is a random one."""
    parts = [
        (whole(images).numpy(), labels.numpy().argmax(axis=1))
        for images, labels in split.evaluation(batches).take(math.ceil(_MOST_IMAGES / batches.size))
    ]
    return Features(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _function(model: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    run: Callable[[tf.Tensor], tf.Tensor] = tf.function(
        lambda images: model(images, training=False), autograph=False, reduce_retracing=True
    )
    return run
