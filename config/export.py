"""The section `export`: files of the model for devices, beside the SavedModel."""

from __future__ import annotations

from typing import Any, Literal

import pydantic
from pydantic import Field

from config.section import Section

Format = Literal["litert", "litert-int8", "onnx"]
LITERT: Format = "litert"
LITERT_INT8: Format = "litert-int8"
ONNX: Format = "onnx"
INTEGER_FORMATS: frozenset[Format] = frozenset([LITERT_INT8])  # all others compute as the SavedModel does, in float32


class ExportConfig(Section):
    """The stage Export, which writes the model in formats for devices; docs/exports.md describes the files.

    A list of formats is short for the section: `export: [litert, litert-int8]`. The gate judges every export, and a
    version is pushed with all of them or not at all.
    """

    formats: list[Format] = Field(min_length=1)
    """`litert` (LiteRT, which was TensorFlow Lite, in float32), `litert-int8` (the same in 8-bit integers) and `onnx`
    (float32; needs the packages of `pip install regraft[onnx]`). Required."""
    calibration_images: int = Field(200, ge=1, le=10_000)
    """Training images from which `litert-int8` takes the range of each layer's values; 1 to 10,000; default 200. With
    fewer training images, all of them."""

    @pydantic.model_validator(mode="before")
    @classmethod
    def _from_a_list(cls, content: Any) -> Any:
        return {"formats": content} if isinstance(content, list) else content

    @pydantic.field_validator("formats")
    @classmethod
    def _names_each_once(cls, formats: list[Format]) -> list[Format]:
        if twice := next((name for name in formats if formats.count(name) > 1), None):
            raise ValueError(f"each format is allowed once. Received twice: {twice!r}")
        return formats
