"""Transform's module file: from the encoded image to what the backbone takes, and from the label to its index.

The graph made here is used for training and is stored inside the served model, so the two can't drift apart.
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

from modules import features, orientation
from modules.input_preprocessing import PREPROCESSING

_BMP_MAGIC = b"BM"
_NO_CLASS = -1
_PLACEHOLDER = b"-\n"  # stands in for the list of classes while the graph is traced, before the data has been read


def preprocessing_fn(inputs: dict[str, tf.Tensor], custom_config: dict[str, Any]) -> dict[str, tf.Tensor]:
    """Called by TFX Transform, https://www.tensorflow.org/tfx/guide/transform.

    Args:
      inputs: raw features of a batch; `image/encoded` and `image/label`, bytes [batch, 1], are used.
      custom_config: `image_size` (pixels), `aspect` and `interpolation` (see `decode_and_resize`), `preprocessing` (a
        name in modules/input_preprocessing.py).

    Returns:
      `image`: float32 [batch, image_size, image_size, 3], as the backbone takes it;
      `pixels`: the same before the backbone's preprocessing, RGB in [0, 255], for augmentation;
      `label`: int64 [batch], index in the alphabetical list of the training split's classes, -1 for any other.
    """
    pixels = decode_and_resize(
        inputs[features.ENCODED][:, 0],
        custom_config["image_size"],
        custom_config["aspect"],
        custom_config["interpolation"],
    )
    return {
        features.TRANSFORMED_IMAGE: PREPROCESSING[custom_config["preprocessing"]](pixels),
        features.TRANSFORMED_PIXELS: pixels,
        features.TRANSFORMED_LABEL: _class_index(inputs[features.LABEL][:, 0]),
    }


def decode_and_resize(
    encoded: tf.Tensor, image_size: int, aspect: str = "resize", interpolation: str = "bilinear"
) -> tf.Tensor:
    """Decodes a batch of images and makes each a square of one size.

    Args:
      encoded: string [batch], JPEG, PNG, GIF (first frame) or BMP of any channel count.
      image_size: pixels.
      aspect: `resize` stretches the image to the square, `crop` takes the largest square at its centre, `pad` fits the
        whole image in and fills up with black.
      interpolation: a method of tf.image.resize; antialiased where the image shrinks.

    Returns:
      float32 [batch, image_size, image_size, 3], RGB in [0, 255].
    """

    def one(image: tf.Tensor) -> tf.Tensor:
        decoded = decode(image)
        if aspect == "crop":
            decoded = _central_square(decoded)
        resize = tf.image.resize_with_pad if aspect == "pad" else _stretch
        resized = resize(decoded, image_size, image_size, method=interpolation, antialias=True)
        return tf.clip_by_value(resized, 0.0, 255.0)  # bicubic and Lanczos overshoot at edges

    return tf.map_fn(one, encoded, fn_output_signature=tf.TensorSpec([image_size, image_size, 3], tf.float32))


def _stretch(image: tf.Tensor, height: int, width: int, method: str, antialias: bool) -> tf.Tensor:
    return tf.image.resize(image, [height, width], method=method, antialias=antialias)


def _central_square(image: tf.Tensor) -> tf.Tensor:
    height, width = tf.unstack(tf.shape(image)[:2])
    side = tf.minimum(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def decode(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes one image.

    Args:
      encoded: string scalar, JPEG, PNG, GIF (first frame) or BMP of any channel count.

    Returns:
      uint8 [height, width, 3], RGB, upright: turned as the file's EXIF orientation says; an alpha channel is dropped,
      grey is repeated, 16 bits are cut to 8.

    Raises:
      tf.errors.InvalidArgumentError: when run on bytes that are no such image, or are cut short.
    """

    def bmp() -> tf.Tensor:  # decode_image asks BMP files to have the channel count already
        image = tf.image.decode_bmp(encoded)
        return tf.cond(tf.equal(tf.shape(image)[-1], 1), lambda: tf.repeat(image, 3, axis=-1), lambda: image[:, :, :3])

    def other() -> tf.Tensor:
        return tf.io.decode_image(encoded, channels=3, expand_animations=False)

    image = tf.cond(tf.equal(tf.strings.substr(encoded, 0, len(_BMP_MAGIC)), _BMP_MAGIC), bmp, other)
    return tf.ensure_shape(orientation.upright(encoded, image), [None, None, 3])


def _class_index(label: tf.Tensor) -> tf.Tensor:
    """Index of each label in the sorted list of classes, which becomes an asset of the graph."""
    (filename,) = tft.experimental.ptransform_analyzer(
        [label], _SortedClasses(), [tf.string], [[]], output_asset_default_values=[_PLACEHOLDER], name="classes"
    )
    tft.annotate_asset(features.CLASSES_ASSET, features.CLASSES_ASSET)
    return tft.apply_vocabulary(label, filename, default_value=_NO_CLASS)


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
