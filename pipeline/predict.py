"""Asks a pushed model about images: for `regraft predict`.

It needs TensorFlow and no other code of this project: a SavedModel holds everything that a prediction takes.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from components import version_names
from components.serving_directory import ServingDirectory
from components.version_files import damage_of
from config.errors import BadInputError, ExitCode, one_line, op_message
from config.serving import check_is_local
from modules import files
from modules.serving import class_names
from pipeline import console

_SERVE_IMAGES = "serve_images"


def predict(model_dir: str | Path, images: Sequence[str], terminal: TextIO) -> ExitCode:
    """Prints one JSON object per line: file, label, probability, and the probabilities of all classes.

    Args:
      model_dir: a version's folder, or a folder of numbered versions, of which the newest is used.
      images: JPEG, PNG, GIF or BMP files.
      terminal: where to print.

    Returns:
      OK, or BAD_INPUT if an image could not be used; the other images are answered all the same.

    Raises:
      BadInputError: if the model cannot be used.
    """
    check_is_local(str(model_dir))
    version = version_folder(Path(model_dir))
    if damage := damage_of(version):
        print(f"warning: {version}: {damage}", file=sys.stderr)
    model = Model(version)
    result = ExitCode.OK
    for image in images:
        try:
            print(json.dumps(model.predict(image), ensure_ascii=False), file=terminal, flush=True)
        except BadInputError as error:
            result = ExitCode.BAD_INPUT
            print(error, file=sys.stderr)
    return result


def version_folder(model_dir: Path) -> Path:
    """The folder itself if it is a SavedModel, or else the newest version in it.

    Raises:
      BadInputError: if there is neither.
    """
    if (model_dir / "saved_model.pb").is_file():
        return model_dir
    directory = ServingDirectory(model_dir)
    versions = directory.versions()
    if not versions:
        raise BadInputError(f"{model_dir}: a SavedModel or a folder of numbered versions is expected")
    for problem in version_names.problems(model_dir):
        print(f"warning: {problem}", file=sys.stderr)
    return directory.folder(versions[-1])


def check_signatures(version: Path, names: Sequence[str]) -> None:
    """Checks that a SavedModel has signatures.

    Args:
      version: its folder.
      names: of the signatures.

    Raises:
      BadInputError: if it cannot be loaded, or lacks one of them.
    """
    import tensorflow as tf

    try:
        with files.link_without_pattern(version) as path:
            found = tf.saved_model.load(path).signatures
    except Exception as error:  # the type depends on what is broken in the SavedModel
        raise BadInputError(f"{version}: cannot be loaded as a SavedModel: {one_line(error)}") from None
    if missing := [name for name in names if name not in found]:
        raise BadInputError(
            f"{version}: the model has no signature {' and '.join(missing)}; docs/serving.md lists those it needs"
        )


class Model:
    """A SavedModel with the signatures of modules/serving/signatures.py."""

    def __init__(self, version: Path):
        """Loads it.

        Raises:
          BadInputError: if it cannot be loaded or lacks these signatures.
        """
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with console.redirected(Path(os.devnull)):  # TensorFlow logs a lot at its start, even so
            import tensorflow as tf

            self._tf = tf
            try:
                with files.link_without_pattern(version) as path:
                    self._model = tf.saved_model.load(path)  # kept: its signatures hold its variables weakly
                self._serve = self._model.signatures[_SERVE_IMAGES]
                self._classes = class_names.read(self._model)
            except (OSError, ValueError, KeyError, AttributeError, tf.errors.OpError) as error:
                raise BadInputError(f"{version}: not a model that Regraft has pushed: {error}") from None

    def predict(self, image: str) -> dict[str, Any]:
        """Classifies one image file.

        Returns:
          `file`, `label` (class name), `probability` of that class, `probabilities` by class name.

        Raises:
          BadInputError: if the file cannot be read or decoded.
        """
        try:
            answer = self._serve(images=self._tf.constant([Path(image).read_bytes()]))
        except OSError as error:
            raise BadInputError(f"{image}: cannot be read: {error.strerror}") from None
        except self._tf.errors.InvalidArgumentError as error:
            raise BadInputError(
                f"{image}: the served model cannot decode it ({op_message(error.message)}); convert it to JPEG or PNG"
            ) from None
        probabilities = answer["probabilities"][0].numpy()
        return {
            "file": image,
            "label": answer["label"][0].numpy().decode(),
            "probability": float(answer["score"][0]),
            "probabilities": {name: float(value) for name, value in zip(self._classes, probabilities, strict=True)},
        }
