"""The classifier that a configuration describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from modules import backbones, devices, heads, losses, model, phases, trunk, trunk_features


def build(config: Mapping[str, Any], classes: Sequence[str]) -> tuple[keras.Model, keras.Model, keras.Model]:
    """The classifier, and the backbone and head inside it."""
    backbone = backbones.load(config["backbone"])
    options = heads.HeadOptions(**config["head"])
    head = heads.build(options, tuple(backbone.output.shape[1:]), len(classes), config["training"]["seed"])
    return model.classifier(backbone, head), backbone, head


def check(config: Mapping[str, Any], classes: Sequence[str]) -> None:
    """Builds what a training would, so that what can't be built is found out in seconds, before any stage has run.

    Args:
      config: a run's whole configuration.
      classes: class names.

    Raises:
      BadInputError: naming the field that is at fault.
    """
    training = config["training"]
    devices.strategy(training["replicas"])
    losses.class_weights(training["loss"]["class_weights"], sorted(classes), [1] * len(classes))
    _, backbone, _ = build(config, classes)
    layers = phases.layers_to_fine_tune(training)
    first, _ = trunk.cut_backbone(backbone, layers)
    kept = config["trunk_features"]
    always = kept["mode"] == trunk_features.CACHED
    if reason := trunk.why_not_keep(first, always):
        trunk_features.refuse_unless_optional(reason, always, kept["views"])
    keras.utils.clear_session()
