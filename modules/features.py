"""The features of one example, as ImageExampleGen writes them and every later stage reads them.

| feature         | type   | shape | value                                                        |
|-----------------|--------|-------|--------------------------------------------------------------|
| `image/encoded` | bytes  | [1]   | the file as found: JPEG, PNG, GIF or BMP                     |
| `image/label`   | bytes  | [1]   | the class name, UTF-8                                        |
| `image/key`     | bytes  | [1]   | SHA-256 of the file's bytes, 64 lower-case hexadecimal digits|
| `image/format`  | bytes  | [1]   | one of `FORMATS`                                             |
| `image/height`  | int64  | [1]   | pixels, > 0                                                  |
| `image/width`   | int64  | [1]   | pixels, > 0                                                  |
| `image/path`    | bytes  | [1]   | path below the data folder, UTF-8, `/` between folders       |
"""

ENCODED = "image/encoded"
LABEL = "image/label"
KEY = "image/key"
FORMAT = "image/format"
HEIGHT = "image/height"
WIDTH = "image/width"
PATH = "image/path"

BYTES_FEATURES = (ENCODED, LABEL, KEY, FORMAT, PATH)
INT_FEATURES = (HEIGHT, WIDTH)

# What statistics are taken over: facts that a person can judge. Never the image's bytes, nor what is unique to it.
FACTS = (LABEL, FORMAT, HEIGHT, WIDTH)

# What TensorFlow decodes, https://www.tensorflow.org/api_docs/python/tf/io/decode_image
FORMATS = ("JPEG", "PNG", "GIF", "BMP")

# Features after Transform: float32 [image_size, image_size, 3] as the backbone takes it, the same as RGB in [0, 255],
# and the int64 index of the class.
TRANSFORMED_IMAGE = "image"
TRANSFORMED_PIXELS = "pixels"
TRANSFORMED_LABEL = "label"

# The class names, one a line, in the order of their indices: an asset of the transform graph, under this key.
CLASSES_ASSET = "classes"
