"""Names and values of the facts about images that the configuration can refer to."""

from __future__ import annotations

import bisect

LABEL = "image/label"
FORMAT = "image/format"
SIZE_BAND = "image/size_band"

FORMATS = ("JPEG", "PNG", "GIF", "BMP")
"""Formats that TensorFlow decodes, https://www.tensorflow.org/api_docs/python/tf/io/decode_image."""

TRANSCODED_FORMATS = ("AVIF", "DDS", "HEIF", "ICO", "JPEG2000", "PCX", "PPM", "SGI", "TGA", "TIFF", "WEBP")
"""Formats that Pillow decodes itself, or with a library in its wheel, without starting another program. Examples hold
these as PNG."""

MAX_PIXELS = 89_478_485
"""Most pixels of an image, unless `data.max_pixels` says otherwise; above, Pillow suspects a decompression bomb."""

SIZE_BANDS = ("1-63", "64-127", "128-255", "256-511", "512-1023", "1024-")
"""First and last number of pixels of the shorter side; each band is twice as wide as the one before."""

_FIRST_PIXELS = tuple(int(band.partition("-")[0]) for band in SIZE_BANDS)


def size_band(height: int, width: int) -> str:
    """The band of `SIZE_BANDS` that holds the shorter side; both sides are 1 pixel or more."""
    return SIZE_BANDS[bisect.bisect_right(_FIRST_PIXELS, min(height, width)) - 1]
