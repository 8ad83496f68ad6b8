"""Whether an image shows anything."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import PIL.Image

_LEVELS = np.arange(256)
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
    histogram = np.array(small.convert("L").histogram())
    pixels = histogram.sum()
    brightness = float(histogram @ _LEVELS / pixels / 255)
    used = np.flatnonzero(histogram)
    # The grey level varies no more than the channel that varies most, but for rounding.
    varies = used[-1] - used[0] > _LEAST_LEVELS or bool((np.diff(small.getextrema()) >= _LEAST_LEVELS).any())
    return Content(round(brightness, 6), bool(not varies or histogram.max() > _MOST_OF_IT * pixels))


def contrast(grey: PIL.Image.Image) -> float:
    """Standard deviation of the grey levels of an image of mode L, 0 to 127.5."""
    histogram = np.array(grey.histogram())
    mean, mean_of_squares = (histogram @ values / histogram.sum() for values in (_LEVELS, _LEVELS**2))
    return float(np.sqrt(max(0.0, mean_of_squares - mean**2)))
