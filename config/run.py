"""A run: the root of the configuration."""

from __future__ import annotations

import re
from pathlib import PurePath

import pydantic
from pydantic.fields import FieldInfo

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
    data: DataConfig
    gate: GateConfig = GateConfig()
    serving_check: ServingCheckConfig = ServingCheckConfig()
    push: PushConfig = PushConfig()
    beam: BeamConfig = BeamConfig()
    kubeflow: KubeflowConfig | None = None

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
        return {name: fields[name] for name in ("name", "data", *ClassifierConfig.model_fields, *fields)}

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
    def classifier(self) -> ClassifierConfig:
        """The sections that Trainer depends on."""
        return self.part(ClassifierConfig)
