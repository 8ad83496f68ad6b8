"""TensorFlow.js layers models, written as its converter writes them: weights by the alphabet of their layers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np


def write(model: keras.Model, folder: Path, shard_bytes: int = 1 << 22) -> Path:
    """Writes a Keras model.

    Args:
      model: whose layers may be models.
      folder: for model.json and its shards.
      shard_bytes: size of each shard but the last.

    Returns:
      the path of model.json.
    """
    weights = [
        ({"name": f"{layer.name}/{variable.name}", "shape": list(variable.shape), "dtype": "float32"}, variable)
        for layer in sorted(_flat(model), key=lambda layer: layer.name)
        for variable in [*layer.trainable_weights, *layer.non_trainable_weights]
    ]
    content = b"".join(np.asarray(variable, "<f4").tobytes() for _, variable in weights)
    return write_parts(
        folder, [spec for spec, _ in weights], content, {"model_config": json.loads(model.to_json())}, shard_bytes
    )


def write_parts(
    folder: Path, weights: list[dict[str, Any]], content: bytes, topology: dict[str, Any], shard_bytes: int = 1 << 22
) -> Path:
    """Writes model.json, with one group of `weights`, and `content` in shards; returns the path of model.json."""
    folder.mkdir(parents=True, exist_ok=True)
    shards = [content[start : start + shard_bytes] for start in range(0, len(content), shard_bytes)]
    names = [f"group1-shard{index + 1}of{len(shards)}.bin" for index in range(len(shards))]
    for name, shard in zip(names, shards, strict=True):
        (folder / name).write_bytes(shard)
    path = folder / "model.json"
    path.write_text(
        json.dumps(
            {
                "format": "layers-model",
                "modelTopology": topology,
                "weightsManifest": [{"paths": names, "weights": weights}],
            }
        )
    )
    return path


def _flat(model: keras.Model) -> list[keras.Layer]:
    nested = [_flat(layer) if isinstance(layer, keras.Model) else [layer] for layer in model.layers]
    return [layer for layers in nested for layer in layers]
