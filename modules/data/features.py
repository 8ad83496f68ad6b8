"""The features of one example, as ImageExampleGen writes them and every later stage reads them.

| feature           | type  | shape | value                                                         |
|-------------------|-------|-------|---------------------------------------------------------------|
| `image/encoded`   | bytes | [1]   | the file as found, or as PNG if decoders disagree about it    |
| `image/label`     | bytes | [1]   | the class name, UTF-8                                         |
| `image/key`       | bytes | [1]   | SHA-256 of the file's bytes, 64 lower-case hexadecimal digits |
| `image/format`    | bytes | [1]   | as found: JPEG, PNG, GIF, BMP, WEBP, TIFF, …                  |
| `image/height`    | int64 | [1]   | pixels, > 0, upright                                          |
| `image/width`     | int64 | [1]   | pixels, > 0, upright                                          |
| `image/size_band` | bytes | [1]   | the band of pixels that        holds the shorter side          |
| `image/path`      | bytes | [1]   | path below the data folder, UTF-8, `/` between folders        |
| `image/group`     | bytes | [1]   | images of one group are in one split; empty for no group      |
| `image/brightness`| float | [1]   | mean luma, [0, 1]                                             |
| `image/sharpness` | float | [1]   | variance of the Laplacian, see below, >= 0                    |
| `image/camera`    | bytes | [1]   | make and model by EXIF, ASCII; empty if it names none         |
| `image/*_band`    | bytes | [1]   | of brightness, sharpness, aspect: see `config.image_facts`    |
| `image/weight`    | float | [1]   | weight of the example in the loss, >= 0                       |
| `column/<name>`   | bytes | [1]   | value of a kept column of the manifest; empty if it has none  |

Brightness and sharpness are those of a reduced picture: an image whose shorter side has 256 pixels or more is reduced
by a whole factor, to a shorter side of 128 to 255 pixels, each pixel the mean of a square. Sharpness is the variance of
the Laplacian (4 neighbours) of its grey levels from 0 to 255, as in Pech-Pacheco and others,
https://doi.org/10.1109/ICPR.2000.903548. Noise counts as sharpness, and a plain surface has none.
"""

from config.image_facts import (
    ASPECT_BAND,
    BRIGHTNESS_BAND,
    CAMERA,
    FORMAT,
    LABEL,
    SHARPNESS_BAND,
    SIZE_BAND,
)
from config.image_facts import COLUMN as COLUMN
from config.image_facts import FORMATS as FORMATS
from config.image_facts import TRANSCODED_FORMATS as TRANSCODED_FORMATS

ENCODED = "image/encoded"
KEY = "image/key"
HEIGHT = "image/height"
WIDTH = "image/width"
PATH = "image/path"
GROUP = "image/group"
BRIGHTNESS = "image/brightness"
SHARPNESS = "image/sharpness"
WEIGHT = "image/weight"

_BANDS = (SIZE_BAND, BRIGHTNESS_BAND, SHARPNESS_BAND, ASPECT_BAND)
BYTES_FEATURES = (ENCODED, LABEL, KEY, FORMAT, *_BANDS, CAMERA, PATH, GROUP)
INT_FEATURES = (HEIGHT, WIDTH)
FLOAT_FEATURES = (BRIGHTNESS, SHARPNESS, WEIGHT)

# The facts that statistics are computed over: those that a person can judge, never bytes or keys. A camera that only
# one split has is no anomaly, so cameras are left out.
FACTS = (LABEL, FORMAT, HEIGHT, WIDTH, BRIGHTNESS, SHARPNESS)

# Features after Transform: float32 [image_size, image_size, 3] as the backbone takes it, the same as RGB in [0, 255],
# and the int64 index of the class.
TRANSFORMED_IMAGE = "image"
TRANSFORMED_PIXELS = "pixels"
TRANSFORMED_LABEL = "label"
NO_CLASS = -1  # the index of a label that is none of the classes

# Key of the transform graph's asset with the class names, one per line, in the order of their indices.
CLASSES_ASSET = "classes"
