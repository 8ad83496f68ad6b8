"""The values that a search found, as keras-tuner and TFX hold them, and as a person reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_OWN = "tuner/"  # as keras-tuner begins the names of what a tuner notes for itself


def encoded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by path, with lists and mappings as JSON, because keras-tuner holds only scalars."""
    return {path: json.dumps(value) if isinstance(value, list | dict) else value for path, value in values.items()}


def decoded(hyperparameters: Mapping[str, Any] | None) -> dict[str, Any]:
    """Values by path.

    Args:
      hyperparameters: the configuration of keras_tuner.HyperParameters, as TFX gives it to Trainer; None: no values.
    """
    held = (hyperparameters or {}).get("values", {})
    return {
        path: json.loads(value) if isinstance(value, str) and value[:1] in ("[", "{") else value
        for path, value in held.items()
        if not path.startswith(_OWN)
    }


def described(values: Mapping[str, Any]) -> str:
    """In one line."""
    return ", ".join(f"{path.removeprefix('training.')} {json.dumps(value)}" for path, value in values.items())
