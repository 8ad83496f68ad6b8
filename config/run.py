"""A run: the root of the configuration."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Any

import pydantic
from pydantic.fields import FieldInfo

from config import presets
from config.beam import BeamConfig
from config.classifier import ClassifierConfig
from config.data import DataConfig
from config.gate import GateConfig
from config.kubeflow import KubeflowConfig
from config.section import is_uri
from config.serving import PushConfig, ServingCheckConfig

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
    gate: GateConfig = GateConfig()
    serving_check: ServingCheckConfig = ServingCheckConfig()
    push: PushConfig = PushConfig()
    beam: BeamConfig = BeamConfig()
    kubeflow: KubeflowConfig | None = None

    @pydantic.model_validator(mode="before")
    @classmethod
    def _preset(cls, content: Any) -> Any:
        return presets.applied(content, str(content.get("quality"))) if isinstance(content, dict) else content

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
        return f"quality {self.quality}: {', '.join(parts)}"

    @property
    def classifier(self) -> ClassifierConfig:
        """The sections that Trainer depends on."""
        return self.part(ClassifierConfig)
