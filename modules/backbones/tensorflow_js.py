"""Reads the weights of a TensorFlow.js layers model: a `model.json`, and files beside it, its shards.

The format is what `tensorflowjs_converter --output_format tfjs_layers_model` and `model.save` in TensorFlow.js write,
also with quantized weights (https://github.com/tensorflow/tfjs/blob/master/tfjs-core/src/io/types.ts and io_utils.ts).
`weightsManifest` lists groups; a group's shards, joined, are its weights one after the other, little-endian.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from config.backbone_table import TENSORFLOW_JS
from config.errors import BadInputError
from modules import files

_STORED: dict[str, np.dtype[Any]] = {
    "float32": np.dtype("<f4"),
    "float16": np.dtype("<f2"),
    "int32": np.dtype("<i4"),
    "uint16": np.dtype("<u2"),
    "uint8": np.dtype("u1"),
    "bool": np.dtype("?"),
}


class TensorFlowJsError(BadInputError):
    """The file is no TensorFlow.js layers model, or its shards are not what it describes."""


@dataclass
class SavedLayer:
    """What a model holds of one layer.

    Attributes:
      arrays: its weights, in Keras's order.
      epsilon: what it adds to a variance, if it is a BatchNorm whose configuration says so.
    """

    arrays: list[np.ndarray] = field(default_factory=list)
    epsilon: float | None = None


def load(path: str | Path) -> dict[str, SavedLayer]:
    """Reads the weights of a model.

    Args:
      path: its model.json; the content of the files is not trusted.

    Returns:
      layer name to the layer, for all layers with weights, in the order of the model's own layers; those of a model
      inside the model are among them.

    Raises:
      TensorFlowJsError: if it is not such a model, or a shard is missing or is cut short.
      OSError: if a file can't be read.
    """
    content = _read(path)
    try:
        topology = dict(_layers(content.get("modelTopology")))
        saved = {name: SavedLayer(epsilon=_epsilon(config)) for name, config in topology.items()}
        for group in content["weightsManifest"]:
            for name, array in _weights(group, Path(path)):
                saved.setdefault(_layer_of(name, topology), SavedLayer()).arrays.append(array)
    except TensorFlowJsError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise TensorFlowJsError(
            f"{path}: its description of the weights is damaged ({error}); convert the model again"
        ) from None
    return {name: layer for name, layer in saved.items() if layer.arrays}


def fingerprint(path: str) -> str:
    """SHA-256 of a file or folder that a configuration names, hexadecimal. Shards of a model count with its model.json.

    Raises:
      TensorFlowJsError: if a shard is missing.
    """
    paths = [Path(path)]
    if path.endswith(TENSORFLOW_JS) and _is_layers_model(path):
        paths += [shard for group in _read(path)["weightsManifest"] for shard in _shards(group, Path(path))]
    digests = [files.fingerprint(file) for file in paths]
    return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _is_layers_model(path: str) -> bool:
    """False for other JSON, and for a schema or a folder of such a name."""
    try:
        return Path(path).is_file() and bool(_read(path))
    except TensorFlowJsError:
        return False


def _read(path: str | Path) -> dict[str, Any]:
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise TensorFlowJsError(f"{path}: is not JSON ({error}); the model.json of a model is expected") from None
    if isinstance(content, dict) and content.get("format") == "graph-model":
        raise TensorFlowJsError(
            f"{path}: is a TensorFlow.js graph model, which has no layers; convert the Keras model with "
            "tensorflowjs_converter --output_format tfjs_layers_model"
        )
    groups = content.get("weightsManifest") if isinstance(content, dict) else None
    if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
        raise TensorFlowJsError(f"{path}: has no weightsManifest; the model.json of a layers model is expected")
    return content


def _shards(group: dict[str, Any], path: Path) -> list[Path]:
    """The files of a group, which must be in the folder of model.json."""
    names = group.get("paths")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise TensorFlowJsError(f"{path}: a group of weights does not list its files; convert the model again")
    for name in names:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise TensorFlowJsError(f"{path}: names the file {name!r}, which is not below its folder; put it there")
        if not (path.parent / name).is_file():
            raise TensorFlowJsError(f"{path}: {name}, with a part of the weights, is missing; put it beside this file")
    return [path.parent / name for name in names]


def _weights(group: dict[str, Any], path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Name and array of each weight of a group."""
    shards = _shards(group, path)
    expected = sum(_elements(weight) * _stored(weight).itemsize for weight in group["weights"])
    content = b"".join(shard.read_bytes() for shard in shards)
    if len(content) != expected:
        names = ", ".join(shard.name for shard in shards) or "no file"
        raise TensorFlowJsError(
            f"{path}: {expected:,} bytes of weights are expected in {names}; copy or download these files again. "
            f"Found: {len(content):,} bytes"
        )
    start = 0
    for weight in group["weights"]:
        raw = np.frombuffer(content, _stored(weight), _elements(weight), start)
        start += raw.nbytes
        yield weight["name"], _dequantized(weight, raw).reshape(weight["shape"])


def _elements(weight: dict[str, Any]) -> int:
    if any(not isinstance(side, int) or side < 0 for side in weight["shape"]):
        raise ValueError(f"{weight['name']} has the shape {weight['shape']}")
    return math.prod(weight["shape"])


def _stored(weight: dict[str, Any]) -> np.dtype[Any]:
    """How a weight's elements are stored."""
    name = weight.get("quantization", weight)["dtype"]
    if name not in _STORED:
        raise ValueError(f"{weight['name']} has elements of type {name}; {', '.join(_STORED)} are read")
    return _STORED[name]


def _dequantized(weight: dict[str, Any], raw: np.ndarray) -> np.ndarray:
    """The weight in its own type: float16 is a shorter float; uint8 and uint16 count steps from the smallest value."""
    quantization, dtype = weight.get("quantization"), _STORED[weight["dtype"]]
    if quantization is None or "scale" not in quantization:
        return raw.astype(dtype)
    values = raw * float(quantization["scale"]) + float(quantization["min"])
    return (np.floor(values + 0.5) if dtype.kind == "i" else values).astype(dtype)


def _layers(topology: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and configuration of every layer that is not a model itself, in order."""
    config = topology.get("model_config", topology) if isinstance(topology, dict) else {}
    config = config.get("config", {})
    for layer in config if isinstance(config, list) else config.get("layers", []):  # a list: an old Sequential
        if isinstance(layer["config"], list) or "layers" in layer["config"]:
            yield from _layers(layer)
        else:
            yield layer["config"].get("name", layer.get("name")), layer["config"]


def _epsilon(config: dict[str, Any]) -> float | None:
    return None if config.get("epsilon") is None else float(config["epsilon"])


def _layer_of(weight: str, topology: dict[str, dict[str, Any]]) -> str:
    """The layer of a weight named `layer/kernel`, perhaps with the models around the layer before it."""
    scope = weight.rpartition("/")[0]
    parts = scope.split("/")
    names = ("/".join(parts[start:]) for start in range(len(parts)))  # a name may contain a slash
    return next((name for name in names if name in topology), scope)
