"""A backbone of a dozen layers, for runs that are not about the backbone: a genuine one takes most of their time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

IMAGE_SIZE = 32
_LAST = "block3_relu"


def write(file: Path) -> dict[str, Any]:
    """Writes a model whose features tell colours apart; gives the section `backbone` that takes it.

    Its weights are random. Its BatchNorm statistics are those of flat colours, so that features are of a usual size.

    Args:
      file: ends in .keras.
    """
    keras.utils.set_random_seed(1)
    layers = keras.layers
    image = keras.Input((IMAGE_SIZE, IMAGE_SIZE, 3))
    values = layers.Conv2D(16, 3, strides=2, padding="same", name="stem")(image)
    for block, (filters, strides) in enumerate([(24, 2), (32, 1), (48, 2)], start=1):
        values = layers.DepthwiseConv2D(3, strides=strides, padding="same", name=f"block{block}_depthwise")(values)
        values = layers.Conv2D(filters, 1, name=f"block{block}_project")(values)
        values = layers.BatchNormalization(momentum=0.0, name=f"block{block}_bn")(values)
        values = layers.ReLU(name=f"block{block}_relu")(values)
    model = keras.Model(image, values, name="small")
    colours = np.random.default_rng(1).uniform(size=(64, 1, 1, 3)).astype(np.float32)
    for _ in range(3):  # one for each BatchNorm layer: its statistics depend on those below
        model(np.broadcast_to(colours, (64, IMAGE_SIZE, IMAGE_SIZE, 3)), training=True)
    model.save(file)
    return {"keras_model": str(file), "layer": _LAST, "image_size": IMAGE_SIZE, "preprocessing": "unit"}
