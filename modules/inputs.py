"""What Trainer is given: images, and trunk features where they are kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow_transform as tft

from modules import trunk_features
from modules.feature_table import FeatureTable
from modules.input_pipeline import Split
from modules.trunk_features import Manifest


@dataclass(frozen=True)
class Inputs:
    """What is trained on.

    Attributes:
      images: the training and the eval split as images.
      manifest: of the trunk features; None if there are none.
      features: both splits' features; None if it doesn't pay to keep any.
    """

    images: tuple[Split, Split]
    manifest: Manifest | None = None
    features: tuple[FeatureTable, FeatureTable] | None = None

    @property
    def splits(self) -> tuple[Split, Split] | tuple[FeatureTable, FeatureTable]:
        return self.features or self.images

    def described(self, pixels_because: str) -> dict[str, Any]:
        """For the history: what the phases were fitted on; `pixels_because` says why there are no trunk features."""
        if self.manifest is None:
            return {"mode": trunk_features.PIXELS, "reason": pixels_because}
        return dataclasses.asdict(self.manifest)


def read(fn_args: Any, transform_output: tft.TFTransformOutput, classes: Sequence[str]) -> Inputs:
    """Tells images and features apart, which come through one input.

    Args:
      fn_args: see trainer.run_fn.
      transform_output: the transform graph.
      classes: class names by index.

    Raises:
      EmptySplitError: if a split's features are of no image; images aren't read yet.
    """
    both = (fn_args.train_files, fn_args.eval_files)
    kept = [[pattern for pattern in patterns if trunk_features.folder_of(pattern)] for patterns in both]
    train, evaluation = (
        Split([pattern for pattern in patterns if pattern not in features], transform_output, classes)
        for patterns, features in zip(both, kept, strict=True)
    )
    folder = next(map(trunk_features.folder_of, kept[0]), None)
    manifest = Manifest.read(folder) if folder else None
    if manifest is None or manifest.mode == trunk_features.PIXELS:
        return Inputs((train, evaluation), manifest)
    memory = memory_of(fn_args.custom_config)
    of_train = FeatureTable.read(kept[0], manifest, len(classes), memory)
    of_eval = FeatureTable.read(kept[1], manifest, len(classes), memory - of_train.held)
    return Inputs((train, evaluation), manifest, (of_train, of_eval))


def memory_of(config: Mapping[str, Any]) -> int:
    """How many bytes training may hold activations in."""
    return int(config["trunk_features"]["memory_gib"] * 2**30)
