"""The sections that the trained classifier depends on, beside the data."""

from __future__ import annotations

from typing import Self

import pydantic

from config.augmentation import MIXING, AugmentationConfig
from config.backbone import BackboneConfig
from config.head import HeadConfig
from config.section import Section
from config.training import TrainingConfig
from config.trunk_features import TrunkFeaturesConfig


class ClassifierConfig(Section):
    """What Trainer is given: a change of anything else does not train again."""

    backbone: BackboneConfig = BackboneConfig()
    head: HeadConfig = HeadConfig()
    training: TrainingConfig = TrainingConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    trunk_features: TrunkFeaturesConfig = TrunkFeaturesConfig()

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
