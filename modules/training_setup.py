"""What a training and a search of trainings begin with: seeds, classes and data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf
import tensorflow_transform as tft

from config.classifier import ClassifierConfig
from config.errors import BadInputError
from modules.data import training_data, transform_graph
from modules.data.training_data import TrainingData


class TooFewClassesError(BadInputError):
    """There is nothing to tell apart."""


@dataclass(frozen=True)
class TrainingSetup:
    """What Trainer and Tuner read.

    Attributes:
      transform_output: the transform graph.
      classes: class names by index.
      memory: bytes that activations may take.
      data: the training and the eval split.
    """

    transform_output: tft.TFTransformOutput
    classes: Sequence[str]
    memory: int
    data: TrainingData


def begin(fn_args: Any, config: ClassifierConfig) -> TrainingSetup:
    """Seeds everything random in this process, and reads the classes and the data.

    Args:
      fn_args: see trainer.run_fn.
      config: its seed and its memory.

    Raises:
      BadInputError: if there are fewer than two classes, or a split is empty or incomplete.
    """
    # Layers without a name of their own are numbered in the order they are made. Start again at 1, so that a layer to
    # fine-tune has the same name in every process and stage.
    keras.utils.clear_session()
    # For the whole process: random initialisers and dropout, and the order in which sums are made.
    keras.utils.set_random_seed(config.training.seed)
    tf.config.experimental.enable_op_determinism()
    transform_output = tft.TFTransformOutput(fn_args.transform_graph_path)
    classes = transform_graph.class_names(transform_output)
    if len(classes) < 2:
        raise TooFewClassesError(f"a classifier needs two classes or more; the training split holds {classes}")
    memory = int(config.trunk_features.memory_gib * 2**30)
    data = training_data.read(fn_args, transform_output, classes, memory)
    data.check_complete(fn_args.custom_config.get("images", {}))
    return TrainingSetup(transform_output, classes, memory, data)
