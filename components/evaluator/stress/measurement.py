"""Runs the stress test, and adds its figures and checks to a verdict."""

from __future__ import annotations

import dataclasses
import functools
import io
import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL.Image
import tensorflow as tf

from components.evaluator import predictions
from components.evaluator.preconditions import EvaluationError
from components.evaluator.predictions import Predictions
from components.evaluator.stress import corruptions, judgement, sample
from components.evaluator.stress import figures as figures_of
from components.evaluator.stress.corruptions import CORRUPTIONS
from components.evaluator.stress.judgement import Answers
from components.evaluator.stress.sample import Image
from components.evaluator.verdict import Verdict
from config import interruption
from config.errors import one_line
from config.gate import GateConfig
from modules.data import decoding
from modules.serving import class_names, loaded, signatures

_log = logging.getLogger("regraft.evaluator")

_BATCH = 32  # pictures in a request
_PIXELS = 2**31 - 1  # ImageExampleGen has refused what is too large


@dataclasses.dataclass(frozen=True)
class Models:
    """The models to test: folders of SavedModels.

    Attributes:
      candidate: the candidate.
      baseline: the model in production; None without one.
    """

    candidate: str
    baseline: str | None


def added(
    verdict: Verdict, gate: GateConfig, models: Models, files: Sequence[str], judged: Predictions, evaluation: str
) -> Verdict:
    """The verdict with the figures and the checks of the stress test; as it is without a section `gate.stress`.

    Args:
      verdict: on the candidate.
      gate: of the configuration.
      models: the candidate and the baseline.
      files: TFRecords of the test images.
      judged: the candidate's answers to them, with their keys and labels.
      evaluation: folder of the ModelEvaluation artifact; it gets the pictures of one image.

    Raises:
      EvaluationError: if a model has no signature for images.
    """
    if gate.stress is None:
        return verdict
    names = list(CORRUPTIONS)
    shown = sample.read(files, dict(zip(judged.keys, judged.labels, strict=True)), gate.stress.images)
    paths = {"the candidate": models.candidate, "the model in production": models.baseline}
    served = [Served(path, name) for name, path in paths.items() if path]
    answered = answers(served, shown, gate.stress.severity, Path(evaluation))
    compare = models.baseline is not None
    figures = judgement.measure(answered[0], answered[1] if compare else None, names, gate)
    made = judgement.checks(figures, names, gate, compare)
    return dataclasses.replace(verdict.with_checks(made), stress=figures)


class Served:
    """A SavedModel that answers images."""

    def __init__(self, path: str, name: str):
        self._model = loaded.load(path)
        if signatures.SERVE_IMAGES not in self._model.signatures:
            raise EvaluationError(
                f"gate.stress: {name} has no signature {signatures.SERVE_IMAGES}; leave gate.stress out, or export the "
                "model with it"
            )
        self._serve = self._model.signatures[signatures.SERVE_IMAGES]
        self._classes = class_names.read(self._model)

    def recognizes(self, encoded: Sequence[bytes], labels: Sequence[str]) -> np.ndarray:
        """Bool [images]: whether the most probable class is the label; an answer that is no number is wrong."""
        right, indices = [], predictions.label_indices(labels, self._classes)
        for start in range(0, len(encoded), _BATCH):
            interruption.check()
            part = tf.constant(encoded[start : start + _BATCH])
            probabilities = self._serve(**{signatures.IMAGES: part})[signatures.PROBABILITIES].numpy()
            right.append(predictions.recognized(probabilities, indices[start : start + _BATCH]))
        return np.concatenate(right)


def answers(served: Sequence[Served], shown: Sequence[Image], severity: int, folder: Path) -> list[Answers]:
    """What each model recognises. All models answer the same pictures, of which a few are in memory at a time.

    Args:
      served: the models.
      shown: the images.
      severity: 1 to 5.
      folder: gets the pictures of the first image.
    """
    decode = tf.function(
        lambda encoded: decoding.decode(encoded, _PIXELS), input_signature=[tf.TensorSpec([], tf.string)]
    )
    found: list[list[np.ndarray]] = [[] for _ in served]
    for start in range(0, len(shown), _BATCH):
        images = shown[start : start + _BATCH]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            decoded = pool.map(functools.partial(_decoded, decode), images)
            seeds = (image.seed for image in images)
            pictures = list(pool.map(functools.partial(_pictures, severity=severity), decoded, seeds))
        if not start:
            _keep(pictures[0], folder)
        labels = [image.label for image in images]
        for model, parts in zip(served, found, strict=True):
            parts.append(np.stack([model.recognizes([one[name] for one in pictures], labels) for name in pictures[0]]))
        _log.info("  stress test: %d of %d images", start + len(images), len(shown))
    right = [np.concatenate(parts, axis=1).T if parts else np.zeros((0, 1 + len(CORRUPTIONS)), bool) for parts in found]
    return [Answers(one[:, 0], one[:, 1:]) for one in right]


def _decoded(decode: tf.types.experimental.PolymorphicFunction, image: Image) -> np.ndarray:
    try:
        return corruptions.reduced(decode(tf.constant(image.encoded)).numpy())
    except tf.errors.InvalidArgumentError as error:
        raise EvaluationError(f"test image {image.key}: it cannot be decoded: {one_line(error)}") from error


def _pictures(pixels: np.ndarray, seed: int, severity: int) -> dict[str, bytes]:
    """The picture without corruption, then under each, as PNG.

    PNG changes no pixel, and every served model can decode it. Compression would take longer than it saves.
    """
    versions = {figures_of.CLEAN: pixels}
    versions |= {name: corruptions.corrupted(pixels, name, severity, seed) for name in CORRUPTIONS}
    encoded = {}
    for name, version in versions.items():
        file = io.BytesIO()
        PIL.Image.fromarray(version).save(file, "PNG", compress_level=0)
        encoded[name] = file.getvalue()
    return encoded


def _keep(pictures: Mapping[str, bytes], folder: Path) -> None:
    for name, encoded in pictures.items():
        Path(folder, figures_of.PICTURE.format(name)).write_bytes(encoded)
