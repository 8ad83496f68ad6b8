"""The section `augmentation`: random changes of the training images."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from config.section import Section

MIXING = ("mixup", "cutmix")
"""Changes that mix images, and their labels with them."""


class AugmentationConfig(Section):
    """Random changes of the training images, new in each epoch, never in evaluation or serving. All off by default.

    `augmentation.png` beside TensorBoard's logs shows what they do to your images.
    """

    flip: Literal["horizontal", "vertical", "horizontal_and_vertical"] | None = None
    """Mirror images; `horizontal_and_vertical` draws both, each by itself; default: none."""
    rotation: float = Field(0.0, ge=0, le=180, allow_inf_nan=False)
    """Rotate by up to this many degrees either way; 0 to 180; default 0."""
    crop: float = Field(0.0, ge=0, lt=1, allow_inf_nan=False)
    """Zoom in, so that up to this share of each side is cut away; 0 to below 1; default 0."""
    translation: float = Field(0.0, ge=0, lt=1, allow_inf_nan=False)
    """Shift by up to this share of each side; 0 to below 1; default 0."""
    brightness: float = Field(0.0, ge=0, le=1, allow_inf_nan=False)
    """Add up to this share of the range of values, either way; 0 to 1; default 0."""
    contrast: float = Field(0.0, ge=0, le=1, allow_inf_nan=False)
    """Stretch or shrink the distance to the mean by up to this share; 0 to 1; default 0."""
    saturation: float = Field(0.0, ge=0, le=1, allow_inf_nan=False)
    """Move colours towards grey or away from it by up to this much; 0 to 1; default 0."""
    hue: float = Field(0.0, ge=0, le=1, allow_inf_nan=False)
    """Turn the colour circle by up to this much; 0 to 1; default 0."""
    rand_augment: float = Field(0.0, ge=0, le=1, allow_inf_nan=False)
    """Strength of RandAugment, two random operations per image; 0 (off, default) to 1."""
    mixup: float = Field(0.0, ge=0, le=10, allow_inf_nan=False)
    """Alpha of MixUp, which blends two images and their labels; 0 (off, default) to 10; 0.2 is usual."""
    cutmix: float = Field(0.0, ge=0, le=1, allow_inf_nan=False)
    """CutMix pastes a patch of one image into another and shares the label by area. Up to this strength; 0 (off,
    default) to 1."""

    def active(self) -> dict[str, str | float]:
        """The changes that are switched on: name to value."""
        return {name: value for name in type(self).model_fields if (value := getattr(self, name))}
