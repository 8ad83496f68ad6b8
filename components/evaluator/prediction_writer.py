"""Writes the predictions that TFMA makes: a branch of its pipeline that ends in Parquet files.

TFMA has made the predictions where the branch begins, so no image is predicted twice. Each batch is written as it
comes, so the memory that this takes does not grow with the number of images.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow_model_analysis as tfma
from apache_beam.io import parquetio
from tensorflow_model_analysis.utils import model_util

from components.evaluator import predictions
from modules.data import features
from modules.serving import signatures

_destination: contextvars.ContextVar[tuple[str, pa.Schema]] = contextvars.ContextVar("_destination")


@contextlib.contextmanager
def writing_to(folder: str, classes: Sequence[str], baseline_classes: Sequence[str] | None) -> Iterator[None]:
    """Every `WritePredictions` that is made meanwhile writes there: TFX gives custom extractors no folder.

    Args:
      folder: URI of the ModelEvaluation artifact.
      classes: the candidate's class names, by index.
      baseline_classes: those of the model in production; None without one.
    """
    token = _destination.set((folder, predictions.schema(classes, baseline_classes)))
    try:
        yield
    finally:
        _destination.reset(token)


class WritePredictions(beam.PTransform):
    """Writes batches of TFMA's extracts, and gives them on as they are."""

    def __init__(self, eval_config: tfma.EvalConfig):
        """Must be called inside `writing_to`.

        Args:
          eval_config: TFMA's configuration, with the names of one or both models.
        """
        super().__init__()
        self._folder, self._schema = _destination.get()
        baseline = model_util.get_baseline_model_spec(eval_config)
        self._baseline = baseline.name if baseline else None
        self._candidate = next(spec.name for spec in eval_config.model_specs if not spec.is_baseline)

    def expand(self, extracts: beam.PCollection) -> beam.PCollection:
        _ = (
            extracts
            | "ToTable" >> beam.Map(_table, self._schema, self._candidate, self._baseline)
            | "Write"
            >> parquetio.WriteToParquetBatched(
                os.path.join(self._folder, predictions.PREFIX),
                self._schema,
                codec="snappy",
                file_name_suffix=predictions.SUFFIX,
            )
        )
        return extracts


def _table(extracts: dict[str, Any], schema: pa.Schema, candidate: str, baseline: str | None) -> pa.Table:
    """One batch as rows."""
    values, answers = extracts[tfma.FEATURES_KEY], extracts[tfma.PREDICTIONS_KEY]
    keys = _texts(values[features.KEY])
    of_candidate = answers if baseline is None else answers[candidate]
    rows = {
        predictions.KEY: keys,
        predictions.PATH: np.ravel(values[features.PATH]).tolist(),
        predictions.LABEL: _texts(values[features.LABEL]),
        predictions.CANDIDATE: _probabilities(of_candidate),
        predictions.BASELINE: [None] * len(keys) if baseline is None else _probabilities(answers[baseline]),
        predictions.NOVELTY: _novelty(of_candidate, len(keys)),
        predictions.BASELINE_NOVELTY: _novelty({} if baseline is None else answers[baseline], len(keys)),
    }
    return pa.table(rows, schema)


def _texts(values: np.ndarray) -> list[str]:
    return [value.decode("utf-8") for value in np.ravel(values).tolist()]


def _novelty(answers: dict[str, np.ndarray], images: int) -> list[float | None] | np.ndarray:
    """Of each image; None if the model has no such output."""
    if signatures.NOVELTY not in answers:
        return [None] * images
    return np.ravel(np.asarray(answers[signatures.NOVELTY], np.float32))


def _probabilities(answers: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Of each image, float32 [classes]."""
    return list(np.asarray(answers[signatures.PROBABILITIES], np.float32))
