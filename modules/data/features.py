"""The features of one example, as ImageExampleGen writes them and every later stage reads them.

| feature           | type  | shape | value                                                         |
|-------------------|-------|-------|---------------------------------------------------------------|
| `image/encoded`   | bytes | [1]   | the file as found, or as PNG if decoders disagree about it    |
| `image/label`     | bytes | [1]   | the class name, UTF-8                                         |
| `image/key`       | bytes | [1]   | SHA-256 of the file's bytes, 64 lower-case hexadecimal digits |
| `image/format`    | bytes | [1]   | as found: JPEG, PNG, GIF, BMP, WEBP, TIFF, …                  |
| `image/height`    | int64 | [1]   | pixels, > 0, upright                                          |
| `image/width`     | int64 | [1]   | pixels, > 0, upright                                          |
| `image/size_band` | bytes | [1]   | the band of `SIZE_BANDS` that holds the shorter side          |
| `image/path`      | bytes | [1]   | path below the data folder, UTF-8, `/` between folders        |
| `image/group`     | bytes | [1]   | images of one group are in one split; empty for no group      |
| `image/brightness`| float | [1]   | mean luma, [0, 1]                                             |
| `image/weight`    | float | [1]   | weight of the example in the loss, >= 0                       |
"""

from config.image_facts import FORMAT, LABEL, SIZE_BAND
from config.image_facts import FORMATS as FORMATS
from config.image_facts import SIZE_BANDS as SIZE_BANDS
from config.image_facts import TRANSCODED_FORMATS as TRANSCODED_FORMATS
from config.image_facts import size_band as size_band

ENCODED = "image/encoded"
KEY = "image/key"
HEIGHT = "image/height"
WIDTH = "image/width"
PATH = "image/path"
GROUP = "image/group"
BRIGHTNESS = "image/brightness"
WEIGHT = "image/weight"

BYTES_FEATURES = (ENCODED, LABEL, KEY, FORMAT, SIZE_BAND, PATH, GROUP)
INT_FEATURES = (HEIGHT, WIDTH)
FLOAT_FEATURES = (BRIGHTNESS, WEIGHT)

# The facts that statistics are computed over: those that a person can judge, never bytes or keys.
FACTS = (LABEL, FORMAT, HEIGHT, WIDTH, BRIGHTNESS)

# Features after Transform: float32 [image_size, image_size, 3] as the backbone takes it, the same as RGB in [0, 255],
# and the int64 index of the class.
TRANSFORMED_IMAGE = "image"
TRANSFORMED_PIXELS = "pixels"
TRANSFORMED_LABEL = "label"
NO_CLASS = -1  # the index of a label that is none of the classes

# Key of the transform graph's asset with the class names, one per line, in the order of their indices.
CLASSES_ASSET = "classes"
