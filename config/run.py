"""A run: the root of the configuration."""

from __future__ import annotations

import re
from pathlib import PurePath

import pydantic
from pydantic.fields import FieldInfo

from config import search_space
from config.beam import BeamConfig
from config.classifier import ClassifierConfig
from config.data import DataConfig
from config.gate import GateConfig
from config.kubeflow import KubeflowConfig
from config.search_space import Space
from config.section import is_uri
from config.serving import PushConfig, ServingCheckConfig
from config.training import Layers
from config.tuner import TunerConfig

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class RunConfig(ClassifierConfig):
    """A run. Only `name` and `data` are required."""

    name: str
    """The pipeline's name: lower-case letters, digits and `-`, at most 63 (also a legal Kubernetes name)."""
    data: DataConfig
    tuner: TunerConfig | None = None
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

    @pydantic.model_validator(mode="after")
    def _can_be_tuned(self) -> RunConfig:
        if self.tuner is None:
            return self
        if reason := self.reason_for_pixels:
            raise ValueError(f"tuner: needs kept activations, or each trial would run the whole backbone: {reason}")
        space = search_space.of(self, self.tuner)
        if not space:
            raise ValueError(
                "tuner: nothing is left to search, because the configuration sets every field that is searched by "
                "default; name fields in tuner.search"
            )
        search_space.check(self, space)
        search_space.deepest_layers(self, space)
        return self

    @property
    def search_space(self) -> Space:
        """What Tuner searches; empty without a section `tuner`."""
        return search_space.of(self, self.tuner) if self.tuner else {}

    @property
    def trunk_layers(self) -> Layers | None:
        """The layers of the backbone above the trunk: those that are fine-tuned or, in a search, may be."""
        return search_space.deepest_layers(self, self.search_space)
