"""What Tuner searches: fields of the sections `head` and `training`, and the values to try for each of them.

A field is named by its path, such as `training.head.learning_rate`. Values are as in a YAML file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeVar

import pydantic

from config.classifier import ClassifierConfig
from config.errors import did_you_mean
from config.section import Section, section_of
from config.training import Layers
from config.tuner import TunerConfig

Space = dict[str, list[Any]]
Values = Mapping[str, Any]
AnyClassifier = TypeVar("AnyClassifier", bound=ClassifierConfig)

HEAD_KIND, VIEWS = "head.kind", "trunk_features.drawn_views"
FINE_TUNE, LAYERS = "training.fine_tune", "training.fine_tune.layers"
NO_LAYERS = 0
"""As a value of LAYERS: there is no phase 2."""

# Values around the defaults. The rate of phase 2, its layers and the kind of head change a result most.
_WEIGHT_DECAY = [0.005, 0.05, 0.2]
_DEFAULT: Space = {
    HEAD_KIND: ["dense", "hidden", "conv"],
    "head.units": [256, 1024],
    "head.filters": [[64], [128, 64]],
    "head.dropout": [0.1, 0.3, 0.5],
    "training.loss.label_smoothing": [0.0, 0.05, 0.1],
    "training.head.learning_rate": [5e-4, 1e-3, 3e-3],
    "training.head.weight_decay": _WEIGHT_DECAY,
    "training.fine_tune.learning_rate": [2e-4, 4e-4, 8e-4],
    "training.fine_tune.weight_decay": _WEIGHT_DECAY,
}
_LAYERS = [0.2, 0.3, 0.45]  # and those of the configuration, if they are more; fewer are tried, never more
_SEARCHED_KINDS = ("dense", "hidden", "conv")
# These decide what is computed before Trainer, what the model answers with, or on which devices it trains.
_FIXED = ("head.function", "head.output", "head.pooling", "training.seed", "training.precision", "training.replicas")


def of(config: ClassifierConfig, tuner: TunerConfig) -> Space:
    """The values to try of each field that is searched.

    Args:
      config: as it was read from a file: it knows which fields the file sets.
      tuner: its section `tuner`.

    Raises:
      ValueError: if a field cannot be searched, or a value is not allowed.
    """
    if tuner.search is None:
        space = {path: values for path, values in _defaults(config).items() if not _is_set(config, path)}
        return {path: values for path, values in space.items() if not _is_unused(config, path, space)}
    for path, values in tuner.search.items():
        _check(config, path, values)
    return {path: list(values) for path, values in tuner.search.items()}


def searchable() -> list[str]:
    """The paths of all fields that can be searched."""
    parts = {"head": ClassifierConfig.model_fields["head"], "training": ClassifierConfig.model_fields["training"]}
    paths = [path for name, field in parts.items() for path in _leaves(name, section_of(field.annotation) or Section)]
    return [*(path for path in paths if path not in _FIXED), VIEWS]


def deepest_layers(config: ClassifierConfig, space: Space) -> Layers | None:
    """The layers at which the trunk must end, so that every value of LAYERS can be tried; None for no fine-tuning.

    Raises:
      ValueError: if it cannot be said which value is the deepest.
    """
    configured = config.training.layers_to_fine_tune
    candidates = [value for value in (configured, *space.get(LAYERS, [])) if value is not None and value != NO_LAYERS]
    if not candidates:
        return None
    if all(value == candidates[0] for value in candidates):
        return candidates[0]
    for kind in (int, float):
        if all(isinstance(value, kind) for value in candidates):
            return max(candidates)
    raise ValueError(
        f"tuner.search.{LAYERS}: whole numbers, or fractions, are expected, and {LAYERS} must be of the same kind. "
        f"Received: {candidates}"
    )


def applied(config: AnyClassifier, values: Values) -> AnyClassifier:
    """A copy of a configuration with other values. Options that mean nothing beside them are left out.

    Args:
      config: a ClassifierConfig.
      values: by path.

    Raises:
      pydantic.ValidationError: if the values do not fit together.
    """
    content = json.loads(config.serialized())
    for path, value in values.items():
        *parents, name = path.split(".")
        section = content
        for parent in parents:
            section = section.get(parent) or {}  # phase 2, which there is not, has no options
        section[name] = value
    if values.get(LAYERS) == NO_LAYERS:
        content["training"]["fine_tune"] = None
    return type(config).model_validate_json(json.dumps(_without_unused(type(config), content)))


def used(config: ClassifierConfig, values: Values) -> dict[str, Any]:
    """The values that mean something beside each other: no option of another kind of head, or of a phase left out."""
    content = json.loads(applied(config, values).serialized())
    return {path: value for path, value in values.items() if path == LAYERS or _contains(content, path)}


def of_phase_1(values: Values) -> dict[str, Any]:
    """The values on which the head depends before phase 2 begins."""
    return {path: value for path, value in values.items() if not path.startswith(FINE_TUNE)}


def configured(config: ClassifierConfig, space: Space) -> dict[str, Any]:
    """The values that a configuration has of the fields that are searched."""
    found: dict[str, Any] = {}
    for path in space:
        section: Any = config
        *parents, name = path.split(".")
        for parent in parents:
            section = getattr(section, parent) if section is not None else None
        if section is not None:
            found[path] = getattr(section, name)
        elif path == LAYERS:
            found[path] = NO_LAYERS
    return used(config, {path: value for path, value in found.items() if path != VIEWS or value is not None})


def _defaults(config: ClassifierConfig) -> Space:
    space = dict(_DEFAULT)
    if config.head.kind not in _SEARCHED_KINDS:
        space = {
            path: values for path, values in space.items() if not path.startswith("head.") or path == "head.dropout"
        }
    if config.backbone.saved_model is not None:  # it gives vectors, or its layers are not known
        space[HEAD_KIND] = ["dense", "hidden"]
    layers, views = config.training.layers_to_fine_tune, config.trunk_features.views
    if layers is None:
        space = {path: values for path, values in space.items() if not path.startswith(FINE_TUNE)}
    elif isinstance(layers, float):  # any other kind is set by the file
        space[LAYERS] = [*(fewer for fewer in _LAYERS if fewer < layers), layers]
    if views > 1:
        space[VIEWS] = [1, views]
    return space


def _is_unused(config: ClassifierConfig, path: str, space: Space) -> bool:
    """Whether a field means nothing beside those that the file sets, such as an option of another kind of head."""
    section: Any = config
    *parents, name = path.split(".")
    for parent in parents:
        section = getattr(section, parent)
    return name in section.unused_fields() and not (path.startswith("head.") and HEAD_KIND in space)


def _is_set(config: Section, path: str) -> bool:
    """Whether a file sets a field."""
    section: Any = config
    for name in path.split("."):
        if section is None or name not in section.model_fields_set:
            return False
        section = getattr(section, name)
    return True


def _check(config: ClassifierConfig, path: str, values: list[Any]) -> None:
    if path not in searchable():
        raise ValueError(
            f"tuner.search.{path}: cannot be searched; docs/tuning.md says which can"
            f"{did_you_mean(path, searchable()).rstrip('.')}"
        )
    if not values:
        raise ValueError(f"tuner.search.{path}: one value or more is expected. Received: none")
    if path.startswith(FINE_TUNE) and config.training.fine_tune is None:
        raise ValueError(f"tuner.search.{path}: needs training.fine_tune. Received: training.fine_tune=None")
    for value in values:
        if path == HEAD_KIND and value not in _SEARCHED_KINDS:
            raise ValueError(f"tuner.search.{path}: {', '.join(_SEARCHED_KINDS)} can be searched. Received: {value!r}")
        if path == VIEWS and not (isinstance(value, int) and 1 <= value <= config.trunk_features.views):
            raise ValueError(
                f"tuner.search.{path}: 1 to trunk_features.views ({config.trunk_features.views}). Received: {value!r}"
            )
        if not (path == LAYERS and value == NO_LAYERS and value is not False):
            _check_value(path, value)


def _check_value(path: str, value: Any) -> None:
    *parents, name = path.split(".")
    kind: type[Section] = ClassifierConfig
    for parent in parents:
        kind = section_of(kind.model_fields[parent].annotation) or kind
    field = kind.model_fields[name]
    annotation: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(annotation, config=pydantic.ConfigDict(strict=True))
    try:
        adapter.validate_json(json.dumps(value))
    except (pydantic.ValidationError, TypeError) as error:
        message = error.errors()[0]["msg"] if isinstance(error, pydantic.ValidationError) else str(error)
        message = message.removeprefix("Value error, ")
        raise ValueError(f"tuner.search.{path}: {message[:1].lower()}{message[1:]}. Received: {value!r}") from None


def _leaves(path: str, section: type[Section]) -> Iterator[str]:
    for name, field in section.ordered_fields().items():
        nested = section_of(field.annotation)
        if nested:
            yield from _leaves(f"{path}.{name}", nested)
        else:
            yield f"{path}.{name}"


def _without_unused(kind: type[Section], content: dict[str, Any]) -> dict[str, Any]:
    """The content of a section, and of those in it, without options that mean nothing beside the others."""
    for name, field in kind.model_fields.items():
        nested = section_of(field.annotation)
        if nested and isinstance(content.get(name), dict):
            content[name] = _without_unused(nested, content[name])
    unused = kind.model_construct(**content).unused_fields() if content else {}
    return {name: value for name, value in content.items() if name not in unused}


def _contains(content: Any, path: str) -> bool:
    for name in path.split("."):
        if not isinstance(content, dict) or name not in content:
            return False
        content = content[name]
    return True
