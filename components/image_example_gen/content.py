"""What an image is like as a whole: whether it shows anything, its brightness, and its sharpness."""

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
      sharpness: variance of the Laplacian of the grey levels, [0, 1040400].
      is_little: whether the image has next to no content: no channel varies by 8 levels of 256, or nearly all pixels
        (95 %) have one grey level.
    """

    brightness: float
    sharpness: float
    is_little: bool


def measure(small: PIL.Image.Image) -> Content:
    """Measures an image.

    Args:
      small: RGB, see `near_duplicates.shrink`.
    """
    grey = small.convert("L")
    histogram = np.array(grey.histogram())
    pixels = histogram.sum()
    brightness = float(histogram @ _LEVELS / pixels / 255)
    used = np.flatnonzero(histogram)
    # The grey level varies no more than the channel that varies most, but for rounding.
    varies = used[-1] - used[0] > _LEAST_LEVELS or bool((np.diff(small.getextrema()) >= _LEAST_LEVELS).any())
    is_little = bool(not varies or histogram.max() > _MOST_OF_IT * pixels)
    return Content(round(brightness, 6), round(sharpness(grey), 3), is_little)


def sharpness(grey: PIL.Image.Image) -> float:
    """Variance of the Laplacian, https://doi.org/10.1109/ICPR.2000.903548: the levels of the 4 neighbours minus 4 times
    the pixel's own, inside of the edge.

    Args:
      grey: mode L.

    Returns:
      [0, 1040400]; 0 if a side has fewer than 3 pixels.
    """
    levels = np.asarray(grey, np.float32)
    if min(levels.shape) < 3:
        return 0.0
    neighbours = levels[:-2, 1:-1] + levels[2:, 1:-1]
    neighbours += levels[1:-1, :-2]
    neighbours += levels[1:-1, 2:]
    laplacian = (neighbours - 4 * levels[1:-1, 1:-1]).ravel()
    return max(0.0, float(laplacian @ laplacian) / laplacian.size - float(laplacian.mean()) ** 2)


def contrast(grey: PIL.Image.Image) -> float:
    """Standard deviation of the grey levels of an image of mode L, 0 to 127.5."""
    histogram = np.array(grey.histogram())
    mean, mean_of_squares = (histogram @ values / histogram.sum() for values in (_LEVELS, _LEVELS**2))
    return float(np.sqrt(max(0.0, mean_of_squares - mean**2)))
