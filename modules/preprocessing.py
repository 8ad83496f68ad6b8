"""Transform's module file: from the encoded image to what the backbone takes, and from the label to its index.

The graph made here is used for training and is stored inside the served model, so training and serving cannot differ.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam

from config.backbone import ImageInput
from modules.data import decoding, features
from modules.data.normalization import PREPROCESSING

_PLACEHOLDER = b"-\n"  # replaces the list of classes while the graph is traced, before the data is read


def preprocessing_fn(inputs: dict[str, tf.Tensor], custom_config: dict[str, Any]) -> dict[str, tf.Tensor]:
    """Called by TFX Transform, https://www.tensorflow.org/tfx/guide/transform.

    Args:
      inputs: raw features of a batch; `image/encoded` and `image/label`, bytes [batch, 1], are used.
      custom_config: `image_input`, a serialized config.backbone.ImageInput; `max_pixels`, see decoding.decode.

    Returns:
      `image`: float32 [batch, image_size, image_size, 3], as the backbone takes it;
      `pixels`: the same before the backbone's preprocessing, RGB in [0, 255], for augmentation;
      `label`: int64 [batch], index in the alphabetical list of the training split's classes, -1 for any other.
    """
    image_input = ImageInput.parse(custom_config["image_input"])
    pixels = decoding.decode_and_resize(
        inputs[features.ENCODED][:, 0],
        image_input.image_size,
        image_input.aspect,
        str(image_input.interpolation),
        custom_config["max_pixels"],
    )
    return {
        features.TRANSFORMED_IMAGE: PREPROCESSING[str(image_input.preprocessing)](pixels),
        features.TRANSFORMED_PIXELS: pixels,
        features.TRANSFORMED_LABEL: _class_index(inputs[features.LABEL][:, 0]),
    }


def _class_index(label: tf.Tensor) -> tf.Tensor:
    """Index of each label in the sorted list of classes, which becomes an asset of the graph."""
    (filename,) = tft.experimental.ptransform_analyzer(
        [label], _SortedClasses(), [tf.string], [[]], output_asset_default_values=[_PLACEHOLDER], name="classes"
    )
    tft.annotate_asset(features.CLASSES_ASSET, features.CLASSES_ASSET)
    return tft.apply_vocabulary(label, filename, default_value=features.NO_CLASS)


class _SortedClasses(tft_beam.experimental.PTransformAnalyzer):
    """Writes the distinct labels, sorted, one a line; tft.vocabulary would order them by their frequency instead,
    and an index would come to mean another class as the data grows.
    """

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        path = os.path.join(self.base_temp_dir, features.CLASSES_ASSET)

        def write(classes: Iterable[bytes]) -> np.ndarray:
            tf.io.gfile.makedirs(os.path.dirname(path))
            with tf.io.gfile.GFile(path, "wb") as file:
                file.write(b"".join(name + b"\n" for name in sorted(classes)))
            return np.array(path)

        return (
            batches
            | "Labels" >> beam.FlatMap(lambda batch: [bytes(label) for label in batch[0]])
            | "Distinct" >> beam.Distinct()
            | "Gather" >> beam.combiners.ToList()
            | "Write" >> beam.Map(write)
        )
