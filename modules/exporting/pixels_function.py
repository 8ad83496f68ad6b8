"""The classifier of a SavedModel as a graph of constants, from resized pixels to probabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import convert_to_constants

from modules.data.normalization import PREPROCESSING
from modules.exporting.errors import ExportError
from modules.serving import loaded, signatures

PIXELS = "pixels"  # the input's name


def frozen(saved_model: str, preprocessing: str, batch: int | None) -> Any:
    """The classifier with its preprocessing.

    All converters read a graph of constants. TFLiteConverter.from_concrete_functions loses variables without an error
    where a Keras 3 model holds them: the file then has a few kilobytes of random answers.

    Args:
      saved_model: folder of a model that modules/serving/signatures.py wrote.
      preprocessing: a key of PREPROCESSING, the one that the model was trained behind.
      batch: number of images of each call; None: any.

    Returns:
      a ConcreteFunction without variables, from `pixels`, float32 [batch, height, width, 3], RGB in [0, 255], to
      probabilities, float32 [batch, classes].

    Raises:
      ExportError: if the SavedModel has no function that takes preprocessed images.
    """
    model = loaded.load(saved_model)  # its functions hold its variables weakly
    classify = getattr(model, signatures.CLASSIFY, None)
    if classify is None:
        raise ExportError(f"{saved_model}: the model has no function {signatures.CLASSIFY}; train it again")
    (image,), _ = classify.concrete_functions[0].structured_input_signature
    return of(classify, image.shape[1:], preprocessing, batch)


def of(
    classify: Callable[[Any], Mapping[str, Any]], shape: Sequence[int], preprocessing: str, batch: int | None
) -> Any:
    """The graph of a function; see `frozen`.

    Args:
      classify: preprocessed images, float32 [batch, *shape], to `signatures.PROBABILITIES`.
      shape: height, width and channels of an image.
      preprocessing: a key of PREPROCESSING.
      batch: number of images of each call; None: any.

    Raises:
      ExportError: if a value of the function cannot become a constant.
    """
    pixels = tf.TensorSpec([batch, *shape], tf.float32, PIXELS)
    function = tf.function(
        lambda pixels: classify(PREPROCESSING[preprocessing](pixels))[signatures.PROBABILITIES],
        input_signature=[pixels],
        autograph=False,
    )
    constants = convert_to_constants.convert_variables_to_constants_v2(function.get_concrete_function())
    if constants.captured_inputs:
        raise ExportError(
            f"export: {len(constants.captured_inputs)} values of the model are no constants; leave it out"
        )
    return constants
