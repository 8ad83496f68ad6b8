"""Exports a feature extractor as a SavedModel, for examples/saved_model_extractor.yaml.

It is EfficientNet-Lite0 with average pooling. It takes RGB images of 160 × 160 pixels in [0, 1], as TF Hub's extractors
do. Put a SavedModel of your own in its place.
"""

from __future__ import annotations

from pathlib import Path

import keras
from keras import layers

from config.backbone_table import BUNDLED
from modules.backbones import builders

FOLDER = Path(__file__).parent / "models" / "feature_extractor"
SIZE = 160  # pixels, of both sides


def export(folder: Path, weights: str = BUNDLED) -> None:
    """Writes the SavedModel.

    Args:
      folder: where it goes.
      weights: of EfficientNetLite0, see docs/backbones.md.
    """
    image = keras.Input((SIZE, SIZE, 3), name="image")
    scaled = layers.Rescaling(255 / 128, offset=-127 / 128)(image)
    features = builders.build("EfficientNetLite0", SIZE, weights)(scaled)
    keras.Model(image, layers.GlobalAveragePooling2D()(features)).export(folder, verbose=False)


if __name__ == "__main__":
    export(FOLDER)
    print(f"exported: {FOLDER}")
