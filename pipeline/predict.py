"""Asks a pushed model about images: `python -m pipeline.predict MODEL_DIR IMAGE…`.

Needs TensorFlow and nothing of this project: all that a prediction takes is inside the SavedModel.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modules.errors import BadInputError, said_by_op
from pipeline import console

_SERVE_IMAGES, _CLASS_NAMES = "serve_images", "class_names"


def main(arguments: Sequence[str]) -> int:
    """Prints one JSON object a line: file, label, probability, and the probabilities of all classes.

    Returns:
      0, or 2 if the model or an image could not be used; the others are answered all the same.
    """
    parser = argparse.ArgumentParser(prog="python -m pipeline.predict", description="Classifies images.")
    parser.add_argument("model_dir", help="a version's folder, or a serving folder, whose newest version is used")
    parser.add_argument("images", nargs="+", metavar="image", help="JPEG, PNG, GIF or BMP files")
    options = parser.parse_args(arguments)
    try:
        model = Model(version_folder(Path(options.model_dir)))
    except BadInputError as error:
        print(error, file=sys.stderr)
        return 2
    unusable = 0
    for image in options.images:
        try:
            print(json.dumps(model.predict(image), ensure_ascii=False), flush=True)
        except BadInputError as error:
            unusable += 1
            print(error, file=sys.stderr)
    return 2 if unusable else 0


def version_folder(model_dir: Path) -> Path:
    """The SavedModel that is meant: the folder itself, or the newest version below it.

    Raises:
      BadInputError: if neither is one.
    """
    if (model_dir / "saved_model.pb").is_file():
        return model_dir
    versions = model_dir.iterdir() if model_dir.is_dir() else ()
    numbers = [int(child.name) for child in versions if child.name.isdecimal()]
    if not numbers:
        raise BadInputError(f"{model_dir}: a SavedModel, or a folder of numbered versions of one, is expected")
    return model_dir / str(max(numbers))


class Model:
    """A SavedModel with the signatures of modules/signatures.py."""

    def __init__(self, version: Path):
        """Loads it.

        Raises:
          BadInputError: if it can't be loaded or hasn't these signatures.
        """
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with console.redirected(Path(os.devnull)):  # TensorFlow greets at length all the same
            import tensorflow as tf

            self._tf = tf
            try:
                self._model = tf.saved_model.load(str(version))  # kept: its signatures hold its variables weakly
                self._serve = self._model.signatures[_SERVE_IMAGES]
                names = self._model.signatures[_CLASS_NAMES]()[_CLASS_NAMES].numpy()
            except (OSError, ValueError, KeyError, AttributeError, tf.errors.OpError) as error:
                raise BadInputError(f"{version}: can't be used as a model of Regraft's: {error}") from None
        self._classes = [name.decode() for name in names]

    def predict(self, image: str) -> dict[str, Any]:
        """Classifies one image file.

        Returns:
          `file`, `label` (class name), `probability` of that class, `probabilities` by class name.

        Raises:
          BadInputError: if the file can't be read or decoded.
        """
        try:
            answer = self._serve(images=self._tf.constant([Path(image).read_bytes()]))
        except OSError as error:
            raise BadInputError(f"{image}: can't be read: {error.strerror}") from None
        except self._tf.errors.InvalidArgumentError as error:
            raise BadInputError(f"{image}: can't be decoded: {said_by_op(error.message)}") from None
        probabilities = answer["probabilities"][0].numpy()
        return {
            "file": image,
            "label": answer["label"][0].numpy().decode(),
            "probability": float(answer["score"][0]),
            "probabilities": {name: float(value) for name, value in zip(self._classes, probabilities, strict=True)},
        }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
