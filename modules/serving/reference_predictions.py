"""Predictions of the model in Trainer's memory for a few eval images. The served model is compared with them.

`reference_predictions.json` has `classes`, by index, and `answers`, a list of objects with `example`: the serialized
raw tf.Example, `image`: its encoded image (both base64), `label`: its class name, `probabilities`: by index, and
`novelty` if the model answers with it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import tensorflow as tf

from modules.data import features
from modules.files import atomic_write

if TYPE_CHECKING:
    from modules.data.input_pipeline import Split

FILE = "reference_predictions.json"
COUNT = 32


def write(folder: str | Path, served: keras.Model, evaluation: Split, classes: Sequence[str]) -> None:
    """Computes the predictions and writes the file.

    Args:
      folder: where the file goes.
      served: preprocessed images to probabilities, or to these and the novelty, as it is about to be exported.
      evaluation: the eval split.
      classes: class names by index.
    """
    serialized, images = evaluation.raw(COUNT)
    probabilities, *novelty = (
        keras.ops.convert_to_numpy(output) for output in tf.nest.flatten(served(images, training=False))
    )
    answers = []
    for number, (record, row) in enumerate(zip(serialized, probabilities, strict=True)):
        feature = tf.train.Example.FromString(record).features.feature
        answers.append(
            {
                "example": base64.b64encode(record).decode(),
                "image": base64.b64encode(feature[features.ENCODED].bytes_list.value[0]).decode(),
                "label": feature[features.LABEL].bytes_list.value[0].decode("utf-8"),
                "probabilities": row.tolist(),
                **({"novelty": float(novelty[0][number])} if novelty else {}),
            }
        )
    content = json.dumps({"classes": list(classes), "answers": answers}, ensure_ascii=False)
    atomic_write(Path(folder, FILE), content + "\n")
