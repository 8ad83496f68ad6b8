"""Builds what a training would build, before any stage has run."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from config.classifier import ClassifierConfig
from modules import classifier, trunk, trunk_runtime
from modules.data import trunk_features
from modules.training import devices, losses


def check(config: ClassifierConfig, classes: Sequence[str]) -> None:
    """Refuses a classifier or a training that cannot be built, in seconds.

    Args:
      config: what will be trained.
      classes: class names.

    Raises:
      BadInputError: naming the field that is at fault.
    """
    training = config.training
    devices.strategy(training.replicas)
    losses.class_weights(training.loss.class_weights, sorted(classes), [1] * len(classes))
    built = classifier.build(config, classes)
    first, _ = trunk.cut_backbone(built.backbone, training.layers_to_fine_tune)
    required = config.needs_kept_features
    trunk_runtime.raise_if_missing(config.trunk_features.runtime)
    if reason := trunk.reason_not_to_keep(first, required):
        trunk_features.raise_if_required(reason, required, config.trunk_features.views)
    keras.utils.clear_session()
