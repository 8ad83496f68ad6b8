"""The section `trunk_features`: whether and how activations of the frozen layers are kept."""

from __future__ import annotations

from typing import Literal, Self

import pydantic
from pydantic import Field

from config.section import Section


class TrunkFeaturesConfig(Section):
    """The activations of the backbone's trunk, the part that nothing trains, computed once per image and kept.

    An epoch then costs only the layers behind the trunk, and so does the next run with another head or learning rate.
    """

    mode: Literal["auto", "cached", "pixels"] = "auto"
    """`cached`: training reads kept activations, or the run is refused. `pixels`: every epoch runs the whole backbone
    on images. `auto` (default): pixels where images are augmented without views, where fine-tuning leaves no trunk, or
    where an image's activations are more values than its pixels; cached otherwise."""
    views: int = Field(1, ge=1, le=100)
    """Variants that are kept of each training image: the image itself, and augmented ones. Each epoch draws one of
    them. Above 1 it needs `augmentation` (without mixup and cutmix, which mix images); 1 to 100; default 1."""
    drawn_views: int | None = Field(None, ge=1, le=100)
    """How many of these views training draws from; 1 is the image itself, always as it is. 1 to `views`; default:
    all."""
    dtype: Literal["float16", "float32"] = "float16"
    """Type in which activations are kept: `float16` (default) or `float32`."""
    runtime: Literal["auto", "tensorflow", "openvino"] = "tensorflow"
    """What runs the trunk. `openvino` needs the package of this name (`pip install regraft[openvino]`), works on CPUs,
    and takes less time on some. `tensorflow` (default): TensorFlow. `auto`: OpenVINO, unless it is not installed, a GPU
    is visible, or its results differ from TensorFlow's by more than 0.0001 of the largest activation."""
    memory_gib: float = Field(2.0, gt=0, allow_inf_nan=False)
    """GiB of memory that training may use for activations. Those that do not fit are read from disk; above 0; default
    2."""

    @pydantic.model_validator(mode="after")
    def _draws_views_that_are_kept(self) -> Self:
        if self.drawn_views is not None and self.drawn_views > self.views:
            raise ValueError(f"drawn_views: 1 to views ({self.views}) is allowed. Received: {self.drawn_views}")
        return self
