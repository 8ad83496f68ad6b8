"""Names and values of the facts about images that the configuration can refer to."""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence

LABEL = "image/label"
FORMAT = "image/format"
SIZE_BAND = "image/size_band"
BRIGHTNESS_BAND = "image/brightness_band"
SHARPNESS_BAND = "image/sharpness_band"
ASPECT_BAND = "image/aspect_band"
CAMERA = "image/camera"
COLUMN = "column/"
"""Before the name of a column of the manifest, in the name of a feature: `column/farm`."""

FORMATS = ("JPEG", "PNG", "GIF", "BMP")
"""Formats that TensorFlow decodes, https://www.tensorflow.org/api_docs/python/tf/io/decode_image."""

TRANSCODED_FORMATS = ("AVIF", "DDS", "HEIF", "ICO", "JPEG2000", "PCX", "PPM", "SGI", "TGA", "TIFF", "WEBP")
"""Formats that Pillow decodes itself, or with a library in its wheel, without starting another program. Examples hold
these as PNG."""

MAX_PIXELS = 89_478_485
"""Most pixels of an image, unless `data.max_pixels` says otherwise; above, Pillow suspects a decompression bomb."""

SIZE_BANDS = ("1-63", "64-127", "128-255", "256-511", "512-1023", "1024-")
"""First and last number of pixels of the shorter side; each band is twice as wide as the one before."""

BRIGHTNESS_BANDS = ("very dark", "dark", "medium", "bright", "very bright")
"""Of the mean luma."""
_BRIGHTNESS_FROM = (0.15, 0.3, 0.5, 0.7)  # the lowest of each band but the first, of [0, 1]

SHARPNESS_BANDS = ("very blurred", "blurred", "medium", "sharp", "very sharp")
"""Of the variance of the Laplacian; `modules/data/features.py` says of what picture."""
_SHARPNESS_FROM = (30.0, 100.0, 500.0, 2000.0)  # the lowest of each band but the first, of [0, 1040400]

ASPECT_BANDS = ("very tall", "tall", "square", "wide", "very wide")
"""`square`: the longer side is at most 5/4 of the shorter one; `very`: more than twice the shorter one."""

BANDS: Mapping[str, Sequence[str]] = {
    SIZE_BAND: SIZE_BANDS,
    BRIGHTNESS_BAND: BRIGHTNESS_BANDS,
    SHARPNESS_BAND: SHARPNESS_BANDS,
    ASPECT_BAND: ASPECT_BANDS,
}
"""Feature to the bands that are its values, in order. Their limits never change: a band means the same in all runs."""

_FIRST_PIXELS = tuple(int(band.partition("-")[0]) for band in SIZE_BANDS)


def size_band(height: int, width: int) -> str:
    """The band of `SIZE_BANDS` that holds the shorter side; both sides are 1 pixel or more."""
    return SIZE_BANDS[bisect.bisect_right(_FIRST_PIXELS, min(height, width)) - 1]


def brightness_band(brightness: float) -> str:
    """The band of `BRIGHTNESS_BANDS` of a mean luma in [0, 1]."""
    return BRIGHTNESS_BANDS[bisect.bisect_right(_BRIGHTNESS_FROM, brightness)]


def sharpness_band(sharpness: float) -> str:
    """The band of `SHARPNESS_BANDS` of a variance of the Laplacian, 0 or more."""
    return SHARPNESS_BANDS[bisect.bisect_right(_SHARPNESS_FROM, sharpness)]


def aspect_band(height: int, width: int) -> str:
    """The band of `ASPECT_BANDS`; both sides are 1 pixel or more."""
    longer, shorter = max(height, width), min(height, width)
    if 4 * longer <= 5 * shorter:
        return "square"
    return ("very " if longer > 2 * shorter else "") + ("wide" if width > height else "tall")
