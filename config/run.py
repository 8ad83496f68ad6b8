"""A run: the root of the configuration."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Any

import pydantic
from pydantic.fields import FieldInfo

from config import presets, search_space
from config.beam import BeamConfig
from config.classifier import ClassifierConfig
from config.data import DataConfig
from config.export import ExportConfig
from config.gate import GateConfig
from config.image_facts import COLUMN
from config.kubeflow import KubeflowConfig
from config.label_check import LabelCheckConfig
from config.search_space import Space
from config.section import Origin, is_uri
from config.serving import PushConfig, ServingCheckConfig
from config.training import Layers
from config.tuner import TunerConfig

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class RunConfig(ClassifierConfig):
    """A run. Only `name` and `data` are required."""

    name: str
    """The pipeline's name: lower-case letters, digits and `-`, at most 63 (also a legal Kubernetes name)."""
    quality: presets.Quality = "good"
    """What fields are that the file does not set. `good` (default): the defaults below. `fast`: a logistic head on a
    frozen backbone, which trains in seconds. `best`: larger images, more layers to fine-tune, and an average over
    mirror images where that pays; several times the time. A field that the file sets wins."""
    data: DataConfig
    label_check: LabelCheckConfig | None = LabelCheckConfig()
    tuner: TunerConfig | None = None
    export: ExportConfig | None = None
    gate: GateConfig = GateConfig()
    serving_check: ServingCheckConfig = ServingCheckConfig()
    push: PushConfig = PushConfig()
    beam: BeamConfig = BeamConfig()
    kubeflow: KubeflowConfig | None = None

    @pydantic.model_validator(mode="wrap")
    @classmethod
    def _preset(cls, content: Any, handler: pydantic.ModelWrapValidatorHandler[RunConfig]) -> RunConfig:
        if not isinstance(content, dict):
            return handler(content)
        quality = str(content.get("quality"))
        filled = presets.applied(content, quality)
        config = handler(filled)
        presets.unmark(config, content, quality)
        if "tuner" not in content and config.reason_not_to_tune:  # a search that only the preset wants
            config = handler({**filled, "tuner": None})
            presets.unmark(config, content, quality)
        return config

    @pydantic.field_validator("name")
    @classmethod
    def _legal_name(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError("lower-case letters, digits and '-' are allowed, 1 to 63 of them, not '-' at either end")
        return name

    @classmethod
    def ordered_fields(cls) -> dict[str, FieldInfo]:
        """What is required, the sections that the classifier depends on, and the others."""
        fields = super().ordered_fields()
        return {name: fields[name] for name in ("name", "quality", "data", *ClassifierConfig.model_fields, *fields)}

    @pydantic.model_validator(mode="after")
    def _folders_are_apart(self) -> RunConfig:
        data, pushed = PurePath(self.data.path), self.push.directory
        if pushed is None or is_uri(self.data.path) or self.data.source != "folders":
            return self
        if data.is_relative_to(pushed) or PurePath(pushed).is_relative_to(data):
            raise ValueError(
                f"push.directory: a folder apart from data.path is expected. Received: {pushed!r}, with data.path "
                f"{self.data.path!r}"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _slices_are_kept(self) -> RunConfig:
        kept = [f"{COLUMN}{name}" for name in self.data.slice_columns]
        for number, part in enumerate(self.gate.slices):
            if part.feature.startswith(COLUMN) and part.feature not in kept:
                name = part.feature.removeprefix(COLUMN)
                raise ValueError(
                    f"gate.slices.{number}.feature: the column {name!r} is not kept with the images; add it to "
                    "data.slice_columns, written the same"
                )
        return self

    @pydantic.model_validator(mode="after")
    def _has_a_probe_to_beat(self) -> RunConfig:
        if self.gate.must_beat_probe and self.label_check is None:
            raise ValueError(
                "gate.must_beat_probe: LabelCheck computes the features of the probe; remove label_check: null, or set "
                "gate.must_beat_probe to false. Received: true, with label_check null"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _gate_names_exports_that_are_made(self) -> RunConfig:
        made = self.export.formats if self.export else []
        for field, name in self.gate.exports.named_formats():
            if name not in made:
                raise ValueError(
                    f"gate.exports.{field}: names {name}, which export.formats does not have; add it there"
                )
        return self

    @property
    def recipe(self) -> str:
        """What the preset and the file's own fields come to, as one line."""
        model = self.backbone.name or "the model of the file"
        parts = [f"{model} at {self.backbone.image_size} pixels", f"{self.head.kind} head"]
        if fine_tune := self.training.fine_tune:
            layers = f"{fine_tune.layers:.0%}" if isinstance(fine_tune.layers, float) else fine_tune.layers
            parts.append(f"fine-tuning of its layers ({layers}) at {fine_tune.learning_rate:g}")
        else:
            parts.append("no fine-tuning")
        if self.tuner:
            parts.append(f"the best of {self.tuner.trials} trials")
        return f"quality {self.quality}: {', '.join(parts)}"

    @property
    def classifier(self) -> ClassifierConfig:
        """The sections that Trainer depends on."""
        return self.part(ClassifierConfig)

    @pydantic.model_validator(mode="after")
    def _can_be_tuned(self, info: pydantic.ValidationInfo) -> RunConfig:
        # What travels between stages sets every field, so it no longer says which ones are searched.
        if self.tuner is None or not isinstance(info.context, Origin):
            return self
        if reason := self.reason_not_to_tune:
            raise ValueError(f"tuner: {reason}")
        search_space.deepest_layers(self, self.search_space)
        return self

    @property
    def reason_not_to_tune(self) -> str:
        """Why the section `tuner` is refused; empty if it is not, or there is none."""
        if self.tuner is None:
            return ""
        if reason := self.reason_for_pixels:
            return f"needs kept activations, or each trial would run the whole backbone: {reason}"
        if self.head.kind == "logistic":
            return (
                "head.kind logistic is fitted to its optimum and chooses its penalty itself, so nothing is left to "
                "search; set head.kind to dense, hidden or conv, or leave tuner out"
            )
        if not self.search_space:
            return (
                "nothing is left to search, because the configuration sets every field that is searched by default; "
                "name fields in tuner.search"
            )
        return ""

    @property
    def search_space(self) -> Space:
        """What Tuner searches; empty without a section `tuner`."""
        return search_space.of(self, self.tuner) if self.tuner else {}

    @property
    def trunk_layers(self) -> Layers | None:
        """The layers of the backbone above the trunk: those that are fine-tuned or, in a search, may be."""
        return search_space.deepest_layers(self, self.search_space)
