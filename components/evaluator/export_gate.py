"""Adds the checks of a candidate's exports to its verdict."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tfx import types
from tfx.types import artifact_utils

from components import example_counts, example_files
from components.evaluator import export_checks, export_runs
from components.evaluator.export_checks import ExportAnswers
from components.evaluator.predictions import Predictions
from components.evaluator.verdict import Verdict
from config.gate import GateConfig
from modules.data import features, transform_graph
from modules.exporting import export_files

_log = logging.getLogger("regraft.evaluator")

EXPORTS, TRANSFORM_GRAPH = "exports", "transform_graph"  # names of Evaluator's inputs
_BATCH = 32


def judged(
    found: Verdict,
    input_dict: dict[str, list[types.Artifact]],
    splits: Sequence[str],
    reference: Predictions,
    blessing: str,
    gate: GateConfig,
) -> Verdict:
    """The verdict with the checks of all exports; their figures are written beside it.

    Args:
      found: the verdict on the SavedModel.
      input_dict: Evaluator's, with `exports` and `transform_graph`.
      splits: those that are evaluated.
      reference: the SavedModel's answers to these images.
      blessing: folder of the ModelBlessing artifact.
      gate: the bounds.

    Raises:
      IncompleteExamplesError: if a split has not all examples that were written.
      EndedFromOutsideError: if the process of an export was ended from outside.
    """
    folder = Path(artifact_utils.get_single_uri(input_dict[EXPORTS]))
    index = export_files.read_index(folder)
    images = _TestImages(input_dict, splits)
    paths = [folder / record["file"] for record in index["formats"].values()]
    answers = dict(zip(index["formats"], export_runs.run(paths, images), strict=True))
    figures, checks = {}, []
    for name, given_answers in answers.items():
        ordered = _in_order_of(reference, images.keys, given_answers)
        figures[name], further = export_checks.judged(name, ordered, reference.candidate, reference.label_indices, gate)
        checks += further
        _log.info("  %s: %s", name, _described(figures[name]))
    export_checks.write(blessing, figures)
    return found.with_checks(checks)


class _TestImages:
    """The test images, resized by the graph that the SavedModel holds; each iteration notes their keys."""

    def __init__(self, input_dict: dict[str, list[types.Artifact]], splits: Sequence[str]):
        self._examples = artifact_utils.get_single_instance(input_dict["examples"])
        self._graph = tft.TFTransformOutput(artifact_utils.get_single_uri(input_dict[TRANSFORM_GRAPH]))
        self._splits = splits
        self.keys: list[str] = []

    def __iter__(self) -> Iterator[np.ndarray]:
        """Float32 [batch, height, width, 3], RGB in [0, 255]."""
        read = transform_graph.reader(self._graph)
        self.keys = []
        for split in self._splits:
            before = len(self.keys)
            files = example_files.of_split(self._examples, split)
            for serialized in tf.data.TFRecordDataset(files, "GZIP").batch(_BATCH):
                found = read(serialized)
                self.keys += [key.decode() for key in found[features.KEY].numpy().tolist()]
                yield found[features.TRANSFORMED_PIXELS].numpy()
            example_counts.check(self._examples, split, len(self.keys) - before)


def _in_order_of(reference: Predictions, keys: Sequence[str], answers: ExportAnswers) -> ExportAnswers:
    """The answers in the order of the SavedModel's, whose rows have the order of their keys."""
    if answers.probabilities is None or len(answers.probabilities) != len(keys):
        return answers
    return dataclasses.replace(answers, probabilities=answers.probabilities[reference.rows_in(keys)])


def _described(figures: export_checks.ExportFigures) -> str:
    if figures.reason:
        return f"cannot be run: {figures.reason}"
    return (
        f"{figures.size / 1e6:.1f} MB, accuracy {figures.accuracy:.2%}, the SavedModel's class for "
        f"{figures.agreement:.2%} of the test images, {figures.p50_ms or float('nan'):.2g} ms per image"
    )
