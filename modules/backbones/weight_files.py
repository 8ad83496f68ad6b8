"""Loads a Keras weight file into a backbone, and names every layer that does not fit.

The formats are `.weights.h5` and `.keras` (Keras 3), `.h5` (Keras 2 and keras.applications' own downloads: weights
alone, or a whole model), and the model.json of a TensorFlow.js layers model. A file may hold more than the backbone: a
classification top is ignored, and a backbone nested in a classifier is found by the names of its layers. No weight is
ever left random: a layer that the file lacks is an error.
"""

from __future__ import annotations

import re
import tempfile
import warnings
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np

from config.backbone_table import TENSORFLOW_JS
from config.errors import BadInputError
from modules.backbones import tensorflow_js

_SHOWN = 10
# Names in keras.applications' ResNet50 before Keras 2.3, and what they are today.
_OLD_RESNET = re.compile(r"(res|bn)(\d)([a-z])_branch(1|2[abc])")
_OLD_RESNET_STEM = {"conv1": "conv1_conv", "bn_conv1": "conv1_bn"}
_OLD_RESNET_BRANCHES = {"1": 0, "2a": 1, "2b": 2, "2c": 3}


class WeightFileError(BadInputError):
    """The file can't be read, or doesn't fit the backbone."""


def load(model: keras.Model, path: str | Path) -> None:
    """Sets the weights of every layer of `model` from a file.

    Args:
      model: a backbone without its classification top.
      path: a file of one of these formats; its name ends in `.h5`, `.keras` or `.json`.

    Raises:
      WeightFileError: naming the layers that the file lacks or that have other shapes.
    """
    path = Path(path)
    try:
        if path.suffix == ".keras":
            _load_keras_archive(model, path)
        elif path.suffix == TENSORFLOW_JS:
            _load_tensorflow_js(model, path)
        elif path.name.endswith(".weights.h5"):
            _load_keras3(model, path, path)
        else:
            _load_legacy(model, path)
    except (OSError, zipfile.BadZipFile) as error:  # h5py's word for a damaged file is OSError
        raise WeightFileError(f"{path}: can't be read as a weight file ({error})") from None


def _load_keras_archive(model: keras.Model, path: Path) -> None:
    with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
        if "model.weights.h5" not in archive.namelist():
            raise WeightFileError(f"{path}: a .keras file holds model.weights.h5. Found: {archive.namelist()}")
        _load_keras3(model, Path(archive.extract("model.weights.h5", folder)), path)


def _load_keras3(model: keras.Model, file: Path, shown: Path) -> None:
    """Keras 3 saves layers by their kind and number; the top comes last, so what is before it has the same number."""
    try:
        with warnings.catch_warnings():
            # Where a file lacks a layer, Keras warns, and leaves that layer at random.
            warnings.filterwarnings("error", message=".*freshly-initialized")
            model.load_weights(file)
    except (ValueError, KeyError, UserWarning):
        with h5py.File(file) as content:
            saved: dict[str, list[np.ndarray]] = {}
            content.visititems(lambda _, item: _note_layer(saved, item))
        if difference := _difference(model, saved):
            raise WeightFileError(f"{shown}: {difference}") from None
        _assign(model, [saved[layer.name] for layer in _weighted(model)])


def _note_layer(saved: dict[str, list[np.ndarray]], item: h5py.Group | h5py.Dataset) -> None:
    if isinstance(item, h5py.Group) and "name" in item.attrs and len(item):
        saved[str(item.attrs["name"])] = [np.asarray(item[key]) for key in sorted(item, key=int)]


def _load_legacy(model: keras.Model, path: Path) -> None:
    """Keras 2's layout: a group a layer, in order; its arrays are trainable weights first."""
    with h5py.File(path) as content:
        root = content.get("model_weights", content)
        if "layer_names" not in root.attrs:
            raise WeightFileError(f"{path}: not a Keras weight file: it has no list of layers")
        saved: dict[str, list[np.ndarray]] = {}
        for name in root.attrs["layer_names"]:
            saved |= _layers_of(_text(name), root[_text(name)])
    _assign(model, [saved[name] for name in _names_in_file(model, saved, path)])


def _load_tensorflow_js(model: keras.Model, path: Path) -> None:
    saved = tensorflow_js.load(path)
    names = _names_in_file(model, {name: layer.arrays for name, layer in saved.items()}, path)
    _assign(model, [_fitted(layer, saved[name]) for layer, name in zip(_weighted(model), names, strict=True)])


def _fitted(layer: keras.Layer, saved: tensorflow_js.SavedLayer) -> list[np.ndarray]:
    """The arrays of a saved layer, with which `layer` computes the same: its BatchNorm may have another epsilon."""
    if not isinstance(layer, keras.layers.BatchNormalization) or saved.epsilon is None:
        return saved.arrays
    *others, variance = saved.arrays
    return [*others, variance + np.float32(saved.epsilon - layer.epsilon)]


def _names_in_file(model: keras.Model, saved: dict[str, list[np.ndarray]], path: Path) -> list[str]:
    """The name in a file of each layer of `model` that has weights.

    Args:
      model: whose layers are to be found.
      saved: layer name to arrays, in the order of the file's layers.
      path: of the file.

    Raises:
      WeightFileError: if a layer is missing, or has other shapes.
    """
    layers = _weighted(model)
    names = {_current_name(name): name for name in saved} | {name: name for name in saved}
    if all(layer.name in names for layer in layers):
        chosen = [names[layer.name] for layer in layers]
    else:  # Keras numbers unnamed layers on from model to model, so the names differ: go by the order
        chosen = list(saved)[: len(layers)]
    if [_shapes(saved[name]) for name in chosen] != [_variable_shapes(layer) for layer in layers]:
        raise WeightFileError(f"{path}: {_difference(model, {name: saved[old] for name, old in names.items()})}")
    return chosen


def _current_name(name: str) -> str:
    """The name that a layer of keras.applications has today; any other name as it is."""
    if match := _OLD_RESNET.fullmatch(name):
        kind, stage, block, branch = match.groups()
        layer = {"res": "conv", "bn": "bn"}[kind]
        return f"conv{stage}_block{ord(block) - ord('a') + 1}_{_OLD_RESNET_BRANCHES[branch]}_{layer}"
    return _OLD_RESNET_STEM.get(name, name.replace("/", "_"))  # Keras 3 allows no slash in a name


def _layers_of(name: str, group: h5py.Group) -> dict[str, list[np.ndarray]]:
    """One layer's arrays, or those of every layer of a nested model, whose list puts all trainable weights first."""
    arrays = {_text(weight): np.asarray(group[_text(weight)]) for weight in group.attrs["weight_names"]}
    inside = {weight: weight.partition("/")[0] for weight in arrays}
    if len(set(inside.values())) <= 1:
        return {name: list(arrays.values())} if arrays else {}
    return {layer: [arrays[weight] for weight in arrays if inside[weight] == layer] for layer in inside.values()}


def _assign(model: keras.Model, chosen: list[list[np.ndarray]]) -> None:
    for layer, arrays in zip(_weighted(model), chosen, strict=True):
        for variable, array in zip(_variables(layer), arrays, strict=True):
            variable.assign(array)
        if isinstance(layer, keras.layers.Normalization):  # it computes with copies of its variables
            layer.finalize_state()


def _weighted(model: keras.Model) -> list[keras.Layer]:
    return [layer for layer in model.layers if layer.weights]


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _variables(layer: keras.Layer) -> list[keras.Variable]:
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def _variable_shapes(layer: keras.Layer) -> list[tuple[int, ...]]:
    return [tuple(variable.shape) for variable in _variables(layer)]


def _shapes(arrays: list[np.ndarray]) -> list[tuple[int, ...]]:
    return [array.shape for array in arrays]


def _difference(model: keras.Model, saved: dict[str, list[np.ndarray]]) -> str:
    """Names of layers that the file lacks or has in other shapes; empty if there is none."""
    faults = []
    for layer in _weighted(model):
        wanted = _variable_shapes(layer)
        if layer.name not in saved:
            faults.append(f"{layer.name} is missing")
        elif _shapes(saved[layer.name]) != wanted:
            faults.append(f"{layer.name} has shapes {wanted}, in the file {_shapes(saved[layer.name])}")
    more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    return f"doesn't fit {model.name}: {'; '.join(faults[:_SHOWN])}{more}" if faults else ""
