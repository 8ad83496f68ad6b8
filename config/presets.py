"""The field `quality`: presets for fields that a configuration does not set."""

from __future__ import annotations

import copy
from typing import Any, Literal

from config.section import Section

Quality = Literal["fast", "good", "best"]

# Section to fields to values, in place of the defaults. `good` is the defaults themselves.
_PRESETS: dict[str, dict[str, Any]] = {
    "fast": {"head": {"kind": "logistic"}, "training": {"fine_tune": None, "loss": {"label_smoothing": 0.0}}},
    "good": {},
    "best": {
        "backbone": {"image_size": 224},
        "training": {"fine_tune": {"layers": 0.7}, "flip_averaging": "auto"},
        "tuner": {"trials": 20, "minutes": 60.0},
    },
}
# A model that brings its own weights also decides how large its images are.
_OWN_MODELS = ("saved_model", "keras_model")


def applied(content: dict[str, Any], quality: str) -> dict[str, Any]:
    """A configuration with the preset's values where it has none of its own.

    Args:
      content: of a configuration, as YAML gives it; it stays as it is.
      quality: name of the preset; another name changes nothing, since validation will refuse it.
    """
    preset = copy.deepcopy(_PRESETS.get(quality, {}))
    backbone = content.get("backbone")
    if isinstance(backbone, dict) and any(backbone.get(name) is not None for name in _OWN_MODELS):
        preset.pop("backbone", None)
    return _filled(content, preset)


def unmark(section: Section, content: dict[str, Any], quality: str) -> None:
    """Takes the preset's fields from a section's `model_fields_set`, which then has what the file itself sets.

    Args:
      section: a configuration, made of `applied(content, quality)`.
      content: of the file.
      quality: name of the preset.
    """
    _unmark(section, content, _PRESETS.get(quality, {}))


def _unmark(section: Section, content: dict[str, Any], preset: dict[str, Any]) -> None:
    for name, value in preset.items():
        if name not in content:
            section.model_fields_set.discard(name)
        inner = getattr(section, name)
        if isinstance(value, dict) and isinstance(inner, Section) and isinstance(content.get(name, {}), dict):
            _unmark(inner, content.get(name, {}), value)


def _filled(content: dict[str, Any], preset: dict[str, Any]) -> dict[str, Any]:
    """The content, and the preset's values for names that it lacks, at all levels."""
    both = {**preset, **content}
    for name in preset.keys() & content.keys():
        if isinstance(preset[name], dict) and isinstance(content[name], dict):
            both[name] = _filled(content[name], preset[name])
    return both
