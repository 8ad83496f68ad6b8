"""The recipe of trunk features, and what computes them."""

from __future__ import annotations

import functools
from typing import Annotated

import keras
import pydantic
import tensorflow as tf
import tensorflow_transform as tft

from config.augmentation import AugmentationConfig
from config.backbone import BackboneConfig
from config.section import Section
from config.training import Layers
from modules import pooling, trunk, trunk_runtime
from modules.backbones import blocks, builders
from modules.data import features, transform_graph
from modules.data.normalization import PREPROCESSING
from modules.data.trunk_features import CACHED, PIXELS, Manifest, raise_if_required
from modules.training.augmentation import Views


class Recipe(Section):
    """All that trunk features depend on, besides the examples and the transform graph."""

    backbone: BackboneConfig
    """The section `backbone` of a configuration."""
    layers: Annotated[Layers, pydantic.SkipValidation] | None
    """`training.fine_tune.layers`; None if nothing of the backbone is fine-tuned."""
    pooling: str | None = None
    """`average` or `max` if the trunk ends with the head's pooling; see `HeadConfig.fixed_pooling`."""
    blocks: str | None = None
    """`all` or `last` if pooled features of the backbone's blocks are kept; see `HeadConfig.pooled_blocks`."""
    dtype: str = "float16"
    """Type of the activations that are kept: `float16` or `float32`."""
    runtime: str = trunk_runtime.TENSORFLOW
    """`trunk_features.runtime` of a configuration."""
    views: int = 1
    """Variants of each image of the split `train`; images of other splits have one."""
    augmentation: AugmentationConfig | None = None
    """The section `augmentation`; None for one view."""
    seed: int | None = None
    """Seed of the views; None for one view."""
    required: bool = False
    """Whether activations are kept even where that does not pay."""


class Extractor:
    """Turns raw examples into trunk features.

    Attributes:
      backbone: as the recipe has it, with pooled blocks if it names any.
      tail: the part of the backbone above the trunk, see `trunk.cut`.
      runtime: what runs the trunk.
    """

    def __init__(self, recipe: Recipe, graph: str):
        """Builds the trunk, with its weights.

        Args:
          recipe: what to compute.
          graph: folder of the transform graph.

        Raises:
          BadInputError: if the backbone cannot be built, has no such layers, or cannot run as the recipe asks.
        """
        keras.utils.clear_session()  # a layer to fine-tune has the same name here and in Trainer
        self.backbone = blocks.pooled(builders.load(recipe.backbone), recipe.blocks)
        self._trunk, self.tail = trunk.cut_backbone(self.backbone, recipe.layers)
        self._pooled = recipe.pooling is not None and len(self._trunk.output.shape) == 4
        if self._pooled:
            self._trunk = keras.Model(self._trunk.input, pooling.pool(self._trunk.output, str(recipe.pooling)))
        self._reason = trunk.reason_not_to_keep(self._trunk, recipe.required)
        self._read = transform_graph.reader(tft.TFTransformOutput(graph))
        self._views = Views(recipe.augmentation or AugmentationConfig(), recipe.seed or 0)
        self._preprocess = PREPROCESSING[str(recipe.backbone.preprocessing)]
        pixels = trunk_runtime.sample_pixels(tuple(self._trunk.input.shape[1:3]))
        asked = trunk_runtime.TENSORFLOW if self._reason else recipe.runtime
        self.runtime = trunk_runtime.choose(asked, self._trunk, self._preprocess(pixels))
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
        """Describes the features that this makes.

        Raises:
          NotKeptError: if they must be kept, and there is no trunk.
        """
        reason = self._reason
        if reason:
            raise_if_required(reason, self._recipe.required, self._recipe.views)
        return Manifest(
            mode=PIXELS if reason else CACHED,
            reason=reason,
            cut=self._trunk.layers[-1].name,
            pooled=self._pooled,
            shape=tuple(self._trunk.output.shape[1:]),
            dtype=self._recipe.dtype,
            views=self._recipe.views,
            weights=trunk.digest(self._trunk),
            runtime="" if reason else self.runtime.name,
            runtime_reason=self.runtime.reason,
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
        activations = tf.cast(self.runtime.run(tf.concat(images, axis=0)), self._recipe.dtype)
        by_view = tf.reshape(activations, (number_of_views, -1, *activations.shape[1:]))
        activations = tf.stack(tf.unstack(by_view), axis=1)
        return keys, inputs[features.TRANSFORMED_LABEL], inputs[features.WEIGHT], activations
