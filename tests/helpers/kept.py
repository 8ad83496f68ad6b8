"""Trunk features of the few images in examples.py, written as the stage TrunkFeatures does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft
from examples import folder_of, raw_examples
from training import classifier_config

from components.trunk_features.extractor import Extractor, Recipe
from modules.data import trunk_features


def recipe(**fields: Any) -> Recipe:
    """What the trainings of training.py keep, with some fields replaced."""
    backbone = classifier_config().backbone.model_dump()
    return Recipe.model_validate({"backbone": backbone, "layers": 10, **fields})


def keep(
    recipe: Recipe, transform_output: tft.TFTransformOutput, example_files: dict[str, str], folder: Path
) -> dict[str, str]:
    """Writes features as the component does; gives the patterns of both splits."""
    extractor = Extractor(recipe, folder_of(transform_output))
    patterns = {}
    for split in ("train", "eval"):
        (folder / f"Split-{split}").mkdir(parents=True)
        parts = extractor(tf.constant(raw_examples(example_files, split)), recipe.views if split == "train" else 1)
        with tf.io.TFRecordWriter(str(folder / f"Split-{split}" / "features.tfrecord")) as writer:
            for key, label, weight, activations in zip(*(part.numpy() for part in parts), strict=True):
                writer.write(trunk_features.encode(key, int(label), float(weight), activations))
        patterns[split] = str(folder / f"Split-{split}" / "*")
    extractor.manifest.write(str(folder))
    return patterns
