"""What TFX calls user code: preprocessing, backbones, heads, training and serving signatures."""

import os

# tensorflow-transform chooses the legacy Keras 2 for the whole process unless this is set before it is imported.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "0")
