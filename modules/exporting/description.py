"""What a client of an export must know: class names, and what to do with an image. It is inside each file, too."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from config.backbone import ImageInput

_SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Description:
    """A model's class names, and the way from an image file to the input of its exports.

    Attributes:
      classes: class names by index.
      image_size: height and width of the input in pixels.
      aspect, interpolation: how an image is resized, see config.backbone.ImageInput.
      max_pixels: an image with more pixels is refused before it is decoded.
    """

    classes: Sequence[str]
    image_size: int
    aspect: str
    interpolation: str
    max_pixels: int

    @classmethod
    def of(cls, image_input: ImageInput, max_pixels: int, classes: Sequence[str]) -> Description:
        """From the configuration that Transform was given, and the classes that it found."""
        return cls(
            list(classes), image_input.image_size, image_input.aspect, str(image_input.interpolation), max_pixels
        )

    def as_json(self) -> dict[str, Any]:
        """The description for files and clients."""
        return {
            "schema_version": _SCHEMA_VERSION,
            "made_by": f"Regraft {importlib.metadata.version('regraft')}",
            "classes": list(self.classes),
            "input": {
                "height": self.image_size,
                "width": self.image_size,
                "channels": "RGB",
                "layout": "NHWC",
                "range": [0, 255],
                "dtype": {"float32 formats": "float32", "litert-int8": "uint8"},
            },
            "resize": {
                "aspect": self.aspect,
                "interpolation": self.interpolation,
                "antialias": True,
                "max_pixels": self.max_pixels,
            },
            "output": {"dtype": "float32", "meaning": "probability of each class, by index"},
        }

    def dumps(self) -> str:
        """`as_json` as text, the same for the same model."""
        return json.dumps(self.as_json(), ensure_ascii=False, sort_keys=True)

    @classmethod
    def loads(cls, text: str) -> Description:
        """Reads what `dumps` wrote.

        Raises:
          ValueError: if it is no such text.
        """
        content = json.loads(text)
        try:
            resize = content["resize"]
            size = content["input"]["height"]
            return cls(content["classes"], size, resize["aspect"], resize["interpolation"], resize["max_pixels"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"the description of the model lacks {error}") from None
