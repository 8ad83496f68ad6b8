"""The sections that the trained classifier depends on, beside the data."""

from __future__ import annotations

from typing import Self

import pydantic

from config.augmentation import MIXING, AugmentationConfig
from config.backbone import BackboneConfig
from config.head import HeadConfig
from config.novelty import NoveltyConfig
from config.section import Section
from config.training import HeadPhaseConfig, TrainingConfig
from config.trunk_features import TrunkFeaturesConfig


class ClassifierConfig(Section):
    """What Trainer is given: a change of anything else does not train again."""

    backbone: BackboneConfig = BackboneConfig()
    head: HeadConfig = HeadConfig()
    training: TrainingConfig = TrainingConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    trunk_features: TrunkFeaturesConfig = TrunkFeaturesConfig()
    novelty: NoveltyConfig | None = NoveltyConfig()

    @property
    def needs_kept_features(self) -> bool:
        """Whether training cannot read images instead of kept activations."""
        return self.trunk_features.mode == "cached" or self.head.kind == "logistic"

    @property
    def reason_for_pixels(self) -> str:
        """Why the pipeline has no stage TrunkFeatures; empty if it has one."""
        if self.trunk_features.mode == "pixels":
            return "trunk_features.mode is pixels"
        if self.trunk_features.views == 1 and (active := self.augmentation.active()):
            return f"augmentation ({', '.join(active)}) is on, and trunk_features.views is 1"
        return ""

    @pydantic.model_validator(mode="after")
    def _views_agree(self) -> Self:
        mode, views, active = self.trunk_features.mode, self.trunk_features.views, self.augmentation.active()
        if views > 1:
            mixing = [name for name in active if name in MIXING]
            if mode == "pixels":
                raise ValueError(f"trunk_features.views: 1 is allowed with mode pixels. Received: {views}")
            if not active or mixing:
                found = f"augmentation.{mixing[0]}, which mixes images" if mixing else "none"
                raise ValueError(
                    f"trunk_features.views: {views} views need augmentation of single images. Found: {found}"
                )
        if mode == "cached" and views == 1 and active:
            raise ValueError(
                "trunk_features.mode: cached needs views above 1 for augmented images, or mode pixels. Found: "
                f"augmentation.{next(iter(active))} and one view"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _logistic_fits(self) -> Self:
        """A head of kind logistic is computed from kept features, without steps of an optimizer."""
        if self.head.kind != "logistic":
            return self
        training = self.training
        if training.fine_tune is not None:
            raise ValueError("training.fine_tune: head.kind logistic has no phase 2; set training.fine_tune: null")
        defaults, loss = TrainingConfig.model_fields, training.loss
        unused = {
            "training.head": training.head != HeadPhaseConfig(),
            **{
                f"training.{field}": getattr(training, field) != defaults[field].default
                for field in ("precision", "replicas")
            },
            "training.loss.focal_gamma": loss.focal_gamma is not None,
        }
        if wrong := next((field for field, is_set in unused.items() if is_set), None):
            raise ValueError(f"{wrong}: is not used by head.kind logistic; leave it out")
        if self.reason_for_pixels:
            raise ValueError(
                f"head.kind: logistic needs kept features, but {self.reason_for_pixels}; set trunk_features.mode: auto "
                "and, if images are augmented, trunk_features.views above 1"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _sections_agree(self) -> Self:
        if self.backbone.saved_model is not None and self.training.fine_tune is not None:
            raise ValueError(
                "training.fine_tune: a SavedModel feature extractor cannot be fine-tuned; set training.fine_tune: null"
            )
        for mixing in MIXING:
            if self.head.output == "sigmoid" and getattr(self.augmentation, mixing):
                raise ValueError(
                    f"augmentation.{mixing}: mixes labels of classes; head.output softmax or logits is allowed "
                    "with it. Received: head.output='sigmoid'"
                )
        return self
