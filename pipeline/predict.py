"""Asks a pushed model about images: for `regraft predict`.

It needs TensorFlow and none of the code that made the model: a SavedModel holds everything that a prediction takes. An
export (predict_export.py) holds all but the decoders, which are this project's.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

from components import version_names
from components.serving_directory import ServingDirectory
from components.version_files import damage_of
from config.errors import BadInputError, ExitCode, one_line, op_message
from config.serving import check_is_local
from modules import files
from modules.serving import class_names
from pipeline import console, heat_maps, predict_export

_SERVE_IMAGES = "serve_images"
_SIGNATURES = {b"\xff\xd8": "JPEG", b"\x89PNG": "PNG", b"GIF8": "GIF", b"BM": "BMP", b"RIFF": "WebP"}
_LONGEST_NAME = 200  # bytes of a photo's name in that of its picture; file systems allow 255 for the whole


def predict(
    model_dir: str | Path, images: Sequence[str], terminal: TextIO, why_dir: str | Path | None = None
) -> ExitCode:
    """Prints one JSON object per line: file, answer, label, probability, and the probabilities of all classes.

    Args:
      model_dir: a version's folder; or a folder of numbered versions, of which the newest is used; or an export's file.
      images: files that TensorFlow can decode: JPEG, PNG, GIF, BMP or WebP.
      terminal: where to print.
      why_dir: folder for a picture of each image with its heat map, of which the lines then have the path,
        `heat_map`; it is made if it is missing, and a file of the picture's name is replaced. None: no heat maps.

    Returns:
      OK, or BAD_INPUT if an image could not be used; the other images are answered all the same.

    Raises:
      BadInputError: if the model cannot be used, has no heat maps although they are asked for, or a picture cannot be
        written.
    """
    check_is_local(str(model_dir))
    names = _picture_names(images)
    for name in names if why_dir is not None else ():
        files.check_output("--why-dir", Path(why_dir or os.curdir, name))
    model = opened(Path(model_dir))
    explain = None if why_dir is None else model.heat_maps()
    result = ExitCode.OK
    for image, name in zip(images, names, strict=True):
        try:
            answer = model.predict(image)
            if explain and why_dir is not None:
                answer["heat_map"] = str(_draw(explain, image, Path(why_dir, name)))
            print(json.dumps(answer, ensure_ascii=False), file=terminal, flush=True)
        except BadInputError as error:
            result = ExitCode.BAD_INPUT
            print(error, file=sys.stderr)
    return result


def opened(path: Path) -> Model | Export:
    """The model in a version's folder, in the newest of a folder of versions, or in a file of exports.

    Raises:
      BadInputError: if the model cannot be used.
    """
    if path.suffix in predict_export.SUFFIXES and not path.is_dir():
        return Export(path)
    if path.is_file():
        raise BadInputError(f"{path}: a folder of versions, a version's folder, or a .tflite or .onnx file is expected")
    version = version_folder(path)
    if damage := damage_of(version):
        print(f"warning: {version}: {damage}", file=sys.stderr)
    return Model(version)


def _picture_names(images: Sequence[str]) -> list[str]:
    """`<file name>.why.png` for each image; images of the same name in several folders get numbers."""
    found: dict[str, int] = {}
    names = []
    for image in images:
        stem = os.fsdecode(os.fsencode(Path(image).name)[:_LONGEST_NAME])
        number = found[stem] = found.get(stem, 0) + 1
        names.append(f"{stem}.why.png" if number == 1 else f"{stem}.{number}.why.png")
    return names


def _draw(explain: Any, image: str, path: Path) -> Path:
    (heat_map,) = heat_maps.explained(explain, [Path(image).read_bytes()])
    content = io.BytesIO()
    heat_map.overlay.save(content, "PNG")
    files.atomic_write(path, content.getvalue())
    return path


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
        self._version = version

    def heat_maps(self) -> Any:
        """What draws the model's heat maps, see pipeline.heat_maps.signature.

        Raises:
          BadInputError: if it has none.
        """
        return heat_maps.signature(self._model, self._version)

    def predict(self, image: str) -> dict[str, Any]:
        """Classifies one image file.

        Returns:
          `file`; `answer`, the label or that it is none of the classes; `label` (class name), `probability` of that
          class, `probabilities` by class name. If the model has these outputs, `novelty`, 0 to 1, and `in_scope`.

        Raises:
          BadInputError: if the file cannot be read or decoded.
        """
        return _answered(image, self._ask)

    def _ask(self, encoded: bytes) -> tuple[list[str], Any, dict[str, Any]]:
        answer = self._serve(images=self._tf.constant([encoded]))
        novelty = {}
        if "novelty" in answer:  # models of Regraft 0.4 and before have no such output
            novelty = {"novelty": float(answer["novelty"][0]), "in_scope": bool(answer["in_scope"][0])}
        return self._classes, answer["probabilities"][0].numpy(), novelty


class Export:
    """A file that Export wrote; see `Model`."""

    def __init__(self, path: Path):
        """Opens it.

        Raises:
          BadInputError: if it is not there, or cannot be used.
        """
        if not path.is_file():
            raise BadInputError(f"{path}: there is no such file; name a version's folder, or a file of exports")
        self._path, self._model = path, predict_export.ExportedModel(path)

    def heat_maps(self) -> Any:
        """Refuses: an export has only the answers.

        Raises:
          BadInputError: always.
        """
        raise BadInputError(f"{self._path}: an export has no heat maps; name the version's folder for --why")

    def predict(self, image: str) -> dict[str, Any]:
        """Classifies one image file; see `Model.predict`. An export does not answer with the novelty."""
        return _answered(image, lambda encoded: (*self._model.predict(encoded), {}))


def _answered(image: str, ask: Callable[[bytes], tuple[list[str], Any, dict[str, Any]]]) -> dict[str, Any]:
    """The answer about an image file, for one line of the output.

    Args:
      image: path of the file.
      ask: its bytes to class names, their probabilities, and `novelty` and `in_scope` if they are known.

    Raises:
      BadInputError: if the file cannot be read or decoded.
    """
    import tensorflow as tf  # a model has loaded it

    try:
        encoded = Path(image).read_bytes()
        classes, probabilities, novelty = ask(encoded)
    except OSError as error:
        raise BadInputError(f"{image}: cannot be read: {error.strerror}") from None
    except tf.errors.InvalidArgumentError as error:
        raise BadInputError(f"{image}: {_fault(encoded, op_message(error.message))}") from None
    best = int(probabilities.argmax())
    label, score = classes[best], float(probabilities[best])
    return {
        "file": image,
        "answer": label if novelty.get("in_scope", True) else _none_of_these(label, score),
        "label": label,
        "probability": score,
        **novelty,
        "probabilities": {name: float(value) for name, value in zip(classes, probabilities, strict=True)},
    }


def _none_of_these(label: str, score: float) -> str:
    return f"none of these (nearest: {label} {f'{score:.2f}'.removeprefix('0')})"


def _fault(encoded: bytes, message: str) -> str:
    """What is wrong with an image that the served model cannot decode, and what to do.

    Args:
      encoded: the file's bytes.
      message: the model's.
    """
    from components.image_example_gen import reference
    from components.image_example_gen.quarantine import Reason, UnusableError

    convert = f"the served model cannot decode it ({message}); convert it to JPEG or PNG"
    name = next((name for start, name in _SIGNATURES.items() if encoded.startswith(start)), None)
    try:
        reference.load(encoded)
    except UnusableError as error:
        is_cut = error.rejection.reason is Reason.TRUNCATED or (name and error.rejection.reason is Reason.NOT_AN_IMAGE)
        if is_cut:
            return f"this {name or 'image'} is damaged ({message}); take an intact copy"
    return convert
