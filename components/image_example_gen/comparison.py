"""Compares the picture that TensorFlow makes of a file with Pillow's.

Pillow decides what a file is, and the transform graph makes the pixels, in training and in the served model. Where they
disagree, one of them is wrong.
"""

from __future__ import annotations

import numpy as np
import PIL.Image
import PIL.ImageChops

ROUNDING = 1  # of 255, between two ways to compose transparency
_MAX_CELLS, _CELL = 32, 16  # a grid's cells per side, and their size in pixels, at least
_MAX_CELL_DIFFERENCE = 48  # of 255, in one cell and channel
_MAX_MEAN_DIFFERENCE = 6.0  # of 255, over all cells
_MAX_BLOCK_DIFFERENCE = 12  # of 255, in one of the last blocks


def grid(reduced: PIL.Image.Image, factor: int, size: tuple[int, int]) -> PIL.Image.Image:
    """The mean colour of each cell of a picture.

    Args:
      reduced: RGB, the picture reduced by a whole factor; its last row and column may reach beyond the picture.
      factor: 1 or more.
      size: width and height of the picture itself.
    """
    cells = (min(_MAX_CELLS, max(1, size[0] // _CELL)), min(_MAX_CELLS, max(1, size[1] // _CELL)))
    return reduced.resize(
        cells, PIL.Image.Resampling.BILINEAR, box=(0, 0, size[0] / factor, size[1] / factor), reducing_gap=2.0
    )


def alike(one: PIL.Image.Image, other: PIL.Image.Image) -> bool:
    """Whether two grids are of the same picture, but for what decoders of a JPEG may choose.

    They choose how to transform, to round and to smooth colours, and the grids come from pictures of different sizes.
    The test measures how much that is.
    """
    if one.size != other.size:
        return False
    difference = np.asarray(PIL.ImageChops.difference(one, other))
    per_channel = difference.mean(axis=(0, 1))
    return bool(difference.max() <= _MAX_CELL_DIFFERENCE and per_channel.max() <= _MAX_MEAN_DIFFERENCE)


def same_end(pixels: np.ndarray, reduced: PIL.Image.Image, factor: int) -> bool:
    """Whether two pictures of a JPEG are the same in their last blocks, which are the first to be lost.

    Args:
      pixels: uint8 [height, width, 3], as stored.
      reduced: RGB, the other picture reduced by a whole factor.
      factor: 1 or more.
    """
    rows, columns = (side // factor for side in pixels.shape[:2])
    strip = np.ascontiguousarray(pixels[(rows - 1) * factor : rows * factor, : columns * factor])
    own = PIL.Image.fromarray(strip).reduce(factor)
    difference = PIL.ImageChops.difference(own, reduced.crop((0, rows - 1, columns, rows)))
    return bool(np.max(difference.getextrema()) <= _MAX_BLOCK_DIFFERENCE)


def same_pixels(one: PIL.Image.Image, other: PIL.Image.Image, tolerance: int = ROUNDING) -> bool:
    """Whether each pixel of two RGB images is the same, but for rounding."""
    if one.size != other.size:
        return False
    return bool(np.max(PIL.ImageChops.difference(one, other).getextrema()) <= tolerance)
