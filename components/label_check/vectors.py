"""Computes image features: the averages of feature maps at the ends of blocks of the backbone.

The blocks are those above the trunk, if TrunkFeatures has kept feature maps below them: then only the images of other
splits run through the trunk. Otherwise they are all blocks, from the images themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from components import progress
from components.label_check import image_features
from components.trunk_features.extractor import Extractor, Recipe
from config import interruption
from modules import trunk
from modules.backbones import blocks
from modules.data import trunk_features

_BATCH = 64  # images


class Vectors:
    """Computes image features."""

    def __init__(self, recipe: Recipe, graph: str, kept_in: str | None):
        """Builds the backbone.

        Args:
          recipe: of TrunkFeatures.
          graph: folder of the transform graph.
          kept_in: folder of the output of TrunkFeatures; None if there is no such stage.
        """
        manifest = trunk_features.Manifest.read(kept_in) if kept_in else None
        self._kept_in = kept_in if manifest is not None and _is_below_blocks(manifest, recipe) else None
        self._manifest = manifest
        if self._kept_in is None:
            recipe = Recipe(backbone=recipe.backbone, layers=None, blocks=blocks.ALL, runtime=recipe.runtime)
        self._extractor = Extractor(recipe, graph)
        if recipe.blocks is None:
            above = blocks.pooled(self._extractor.tail, blocks.ALL)
            self._above, self.blocks = trunk.folded(above), blocks.widths(above)
        else:
            self._above, self.blocks = tf.identity, blocks.widths(self._extractor.backbone)

    def write(self, uri: str, raw: Mapping[str, Sequence[str]], tally: progress.Tally) -> dict[str, int]:
        """Writes the features of all images.

        Args:
          uri: of the artifact `image_features`.
          raw: split to its TFRecords of raw examples.
          tally: counts the images.

        Returns:
          split to number of images.
        """
        counts = {}
        for split, files in raw.items():
            writer = image_features.Writer(uri, split, files, sum(self.blocks))
            for keys, activations in self._below(split, files):
                interruption.check()
                writer.add([key.decode("ascii") for key in keys], self._above(activations).numpy())
                tally.add(len(keys), len(keys))
            writer.close()
            counts[split] = writer.images
        image_features.write_manifest(uri, list(raw), self.blocks)
        return counts

    def _below(self, split: str, files: Sequence[str]) -> Iterator[tuple[np.ndarray, tf.Tensor]]:
        """Keys and float32 activations of the trunk, in batches: kept ones if there are any."""
        kept = tf.io.gfile.glob(f"{self._kept_in}/Split-{split}/*") if self._kept_in else []
        if kept and self._manifest is not None:
            batches = trunk_features.decode(kept, self._manifest, _BATCH)
        else:
            raw = tf.data.TFRecordDataset(list(files), "GZIP").batch(_BATCH)
            batches = (self._extractor(serialized, 1) for serialized in raw)
        for keys, _, _, activations in batches:
            yield keys.numpy(), tf.cast(activations[:, 0], tf.float32)  # the first view is the image itself


def _is_below_blocks(manifest: trunk_features.Manifest, recipe: Recipe) -> bool:
    """Whether kept activations lead to the features of several blocks."""
    if manifest.mode != trunk_features.CACHED:
        return False
    return recipe.blocks == blocks.ALL or (recipe.blocks is None and recipe.layers is not None)
