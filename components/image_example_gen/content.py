"""Whether an image shows anything."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import PIL.Image

_LEAST_LEVELS = 8  # of 256
_MOST_OF_IT = 0.95  # share of the pixels


class Content(NamedTuple):
    """What an image holds.

    Attributes:
      brightness: mean luma (Rec. 601), [0, 1].
      is_little: whether the image has next to no content: no channel varies by 8 levels of 256, or nearly all pixels
        (95 %) have one grey level.
    """

    brightness: float
    is_little: bool


def measure(small: PIL.Image.Image) -> Content:
    """Measures an image.

    Args:
      small: RGB, see `near_duplicates.shrink`.
    """
    histogram = small.convert("L").histogram()
    pixels = sum(histogram)
    brightness = sum(level * count for level, count in enumerate(histogram)) / pixels / 255
    varies = bool((np.diff(np.reshape(small.getextrema(), (-1, 2))) >= _LEAST_LEVELS).any())
    return Content(round(brightness, 6), not varies or max(histogram) > _MOST_OF_IT * pixels)
