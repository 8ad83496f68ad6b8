"""The features of one example, as ImageExampleGen writes them and every later stage reads them.

| feature           | type  | shape | value                                                         |
|-------------------|-------|-------|---------------------------------------------------------------|
| `image/encoded`   | bytes | [1]   | the file as found, or as PNG if it was no JPEG, PNG, GIF, BMP |
| `image/label`     | bytes | [1]   | the class name, UTF-8                                         |
| `image/key`       | bytes | [1]   | SHA-256 of the file's bytes, 64 lower-case hexadecimal digits |
| `image/format`    | bytes | [1]   | as found: JPEG, PNG, GIF, BMP, WEBP, TIFF, …                  |
| `image/height`    | int64 | [1]   | pixels, > 0, upright                                          |
| `image/width`     | int64 | [1]   | pixels, > 0, upright                                          |
| `image/size_band` | bytes | [1]   | which of `SIZE_BANDS` the shorter side lies in                |
| `image/path`      | bytes | [1]   | path below the data folder, UTF-8, `/` between folders        |
| `image/group`     | bytes | [1]   | what must stay on one side; empty for none                    |
| `image/brightness`| float | [1]   | mean luma, [0, 1]                                             |
| `image/weight`    | float | [1]   | of the example in the loss, >= 0                              |
"""

import bisect

ENCODED = "image/encoded"
LABEL = "image/label"
KEY = "image/key"
FORMAT = "image/format"
HEIGHT = "image/height"
WIDTH = "image/width"
SIZE_BAND = "image/size_band"
PATH = "image/path"
GROUP = "image/group"
BRIGHTNESS = "image/brightness"
WEIGHT = "image/weight"

BYTES_FEATURES = (ENCODED, LABEL, KEY, FORMAT, SIZE_BAND, PATH, GROUP)
INT_FEATURES = (HEIGHT, WIDTH)
FLOAT_FEATURES = (BRIGHTNESS, WEIGHT)

# What statistics are taken over: facts that a person can judge. Never the image's bytes, nor what is unique to it.
FACTS = (LABEL, FORMAT, HEIGHT, WIDTH, BRIGHTNESS)

# What TensorFlow decodes, https://www.tensorflow.org/api_docs/python/tf/io/decode_image
FORMATS = ("JPEG", "PNG", "GIF", "BMP")

# What Pillow decodes itself, or by a library that its wheel carries, and nothing that runs another program: examples
# hold these as PNG.
TRANSCODED_FORMATS = ("AVIF", "DDS", "HEIF", "ICO", "JPEG2000", "PCX", "PPM", "SGI", "TGA", "TIFF", "WEBP")

# Features after Transform: float32 [image_size, image_size, 3] as the backbone takes it, the same as RGB in [0, 255],
# and the int64 index of the class.
TRANSFORMED_IMAGE = "image"
TRANSFORMED_PIXELS = "pixels"
TRANSFORMED_LABEL = "label"

# The class names, one a line, in the order of their indices: an asset of the transform graph, under this key.
CLASSES_ASSET = "classes"

# Pixels, first and last of each band: sizes that differ by less than twice are much the same to a backbone.
SIZE_BANDS = ("1-63", "64-127", "128-255", "256-511", "512-1023", "1024-")
_FIRST_PIXELS = tuple(int(band.partition("-")[0]) for band in SIZE_BANDS)


def size_band(height: int, width: int) -> str:
    """The band of `SIZE_BANDS` that the shorter side, 1 pixel or more, lies in."""
    return SIZE_BANDS[bisect.bisect_right(_FIRST_PIXELS, min(height, width)) - 1]
