"""Loads `.keras` model files. If Keras refuses one, the error names the layers at fault, and says what to do."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from typing import Any

import keras

from config.errors import BackboneError, shortened

_EXPORT = (
    "where its code is, export the part up to backbone.layer with keras.Model(…).export(folder), and set "
    "backbone.saved_model to that folder"
)


def load(path: str) -> keras.Model:
    """Loads a model; code in the file is never run.

    Args:
      path: of a `.keras` file.

    Raises:
      BackboneError: if it can't be loaded.
    """
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras raises what a file makes it meet: OSError, ValueError, TypeError, KeyError, …
        raise BackboneError(f"{path}: {_reason(path)}{shortened(error)})") from None


def _reason(path: str) -> str:
    """Why a file can't be loaded, as far as its own description tells; an opening bracket follows."""
    try:
        with zipfile.ZipFile(path) as archive:
            config, metadata = (json.loads(archive.read(name)) for name in ("config.json", "metadata.json"))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return "can't be loaded as a Keras model ("
    objects = list(_objects(config))
    if lambdas := sorted({_name(one) for one in objects if one["class_name"] == "Lambda"}):
        return (
            f"contains Lambda layers ({', '.join(lambdas)}): their Python code is not run from a file. Replace each by "
            "a layer of Keras, such as Rescaling, or by functions of keras.ops, and save the model again; or, "
            f"{_EXPORT} ("
        )
    if wrapped := sorted({_name(one) for one in objects if one["class_name"] in ("TFSMLayer", "TorchModuleWrapper")}):
        return (
            f"contains layers that run a graph outside of the file ({', '.join(wrapped)}). If that is the backbone, "
            f"set backbone.saved_model to its folder; otherwise, {_EXPORT} ("
        )
    if foreign := sorted({one["class_name"] for one in objects if _is_foreign(one)}):
        return (
            f"contains classes that are not Keras' own ({', '.join(foreign)}), whose code is not in the file. Build "
            f"the model of Keras' layers; or, {_EXPORT} ("
        )
    saved_by = metadata.get("keras_version", "an unknown version")
    if saved_by == keras.__version__:
        return "can't be loaded as a Keras model ("
    return (
        f"can't be loaded as a Keras model; Keras {saved_by} saved it, and this is {keras.__version__}. Save it with "
        f"this version; or, {_EXPORT} ("
    )


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    """Every serialized object in a model's configuration."""
    if isinstance(config, dict):
        if isinstance(config.get("class_name"), str) and "config" in config:
            yield config
        for value in config.values():
            yield from _objects(value)
    elif isinstance(config, list):
        for value in config:
            yield from _objects(value)


def _name(found: dict[str, Any]) -> str:
    config = found["config"]
    return str(config.get("name", found["class_name"])) if isinstance(config, dict) else str(found["class_name"])


def _is_foreign(found: dict[str, Any]) -> bool:
    module = found.get("module") or ""
    is_own = module.split(".")[0] in ("keras", "builtins") and "module" in found
    known = keras.saving.get_registered_object(found.get("registered_name") or found["class_name"])
    return not is_own and known is None and not found["class_name"].startswith("__")
