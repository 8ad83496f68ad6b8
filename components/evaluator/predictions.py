"""The probabilities of every test image, as Evaluator keeps them beside TFMA's metrics: Parquet files.

| column             | type                  | value                                                                   |
|--------------------|-----------------------|-------------------------------------------------------------------------|
| `key`              | string                | SHA-256 of the image's bytes, 64 lower-case hexadecimal digits          |
| `path`             | binary                | path below the data folder; its bytes need not be UTF-8                 |
| `label`            | string                | the class name that the data gives the image                            |
| `candidate`        | list of float32       | the candidate's probabilities, by index of its classes                  |
| `baseline`         | list of float32, null | those of the model in production, by index of its classes; null without |
| `novelty`          | float32, null         | how unlike its training images the candidate calls it, [0, 1]; or null  |
| `baseline_novelty` | float32, null         | that of the model in production; null without                           |

Files of Regraft 0.4 and before have no column `novelty` and no `baseline_novelty`. The metadata of the schema has the
class names of both models as JSON. The rows have no order. Every image is in one row of one file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

PREFIX, SUFFIX = "predictions", ".parquet"
FLOAT32_ERROR = 1e-5  # largest rounding error of a probability
NOVELTY_ERROR = 1e-4  # largest difference between two trainings that give the same model
NO_CLASS = -1  # in place of a class index
KEY, PATH, LABEL, CANDIDATE, BASELINE = "key", "path", "label", "candidate", "baseline"
NOVELTY, BASELINE_NOVELTY = "novelty", "baseline_novelty"
_CLASSES, _BASELINE_CLASSES = b"classes", b"baseline_classes"


@dataclass(frozen=True)
class Predictions:
    """The probabilities of all test images, in the order of their keys.

    Attributes:
      classes: the candidate's class names, by index.
      baseline_classes: those of the model in production; None without one.
      keys: SHA-256 of each image, hexadecimal.
      paths: of each image, below the data folder.
      labels: class name of each image.
      candidate: float32 [images, classes], as the candidate answers: in [0, 1], but not a number if it is broken.
      baseline: float32 [images, baseline classes], those of the model in production; None without one.
      novelty: float32 [images], the candidate's output of this name; None if it has none.
      baseline_novelty: that of the model in production; None without one, or if it has none.
    """

    classes: Sequence[str]
    baseline_classes: Sequence[str] | None
    keys: Sequence[str]
    paths: Sequence[bytes]
    labels: Sequence[str]
    candidate: np.ndarray
    baseline: np.ndarray | None
    novelty: np.ndarray | None = None
    baseline_novelty: np.ndarray | None = None

    @property
    def has_same_novelty(self) -> bool:
        """Whether both models answer the same novelty up to rounding, or neither answers one."""
        if self.novelty is None or self.baseline_novelty is None:
            return self.novelty is self.baseline_novelty
        return bool(np.allclose(self.novelty, self.baseline_novelty, rtol=0, atol=NOVELTY_ERROR))

    @cached_property
    def label_indices(self) -> np.ndarray:
        """int64 [images]: index of each label among the candidate's classes; -1 for none of them."""
        return label_indices(self.labels, self.classes)

    @cached_property
    def right(self) -> np.ndarray:
        """Bool [images]: whether the candidate recognises the image."""
        return recognized(self.candidate, self.label_indices)

    def rows_in(self, keys: Sequence[str]) -> np.ndarray:
        """int64 [images]: where each of these images is among other keys, which have all of them."""
        row = {key: number for number, key in enumerate(keys)}
        return np.array([row[key] for key in self.keys], np.int64)


def label_indices(labels: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """Index of each label among some classes, int64 [images]; -1 for none of them."""
    index = {name: number for number, name in enumerate(classes)}
    return np.array([index.get(label, NO_CLASS) for label in labels], np.int64)


def valid(probabilities: np.ndarray) -> np.ndarray:
    """Bool [images]: whether all of an image's probabilities are numbers from 0 to 1; they are [images, classes]."""
    found: np.ndarray = np.all((probabilities >= -FLOAT32_ERROR) & (probabilities <= 1 + FLOAT32_ERROR), axis=1)
    return found  # NaN is neither at least 0 nor at most 1


def recognized(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Bool [images]: whether the most probable class is the label. An answer that is no number is wrong.

    Args:
      probabilities: [images, classes].
      labels: int64 [images], see `label_indices`.
    """
    return valid(probabilities) & (probabilities.argmax(axis=1) == labels)


def schema(classes: Sequence[str], baseline_classes: Sequence[str] | None) -> pa.Schema:
    """The columns, and the class names of both models by index; None for the baseline's if there is none."""
    import pyarrow as pa

    metadata = {_CLASSES: json.dumps(list(classes))}
    if baseline_classes is not None:
        metadata[_BASELINE_CLASSES] = json.dumps(list(baseline_classes))
    probabilities = pa.list_(pa.float32())
    return pa.schema(
        {
            KEY: pa.string(),
            PATH: pa.binary(),
            LABEL: pa.string(),
            CANDIDATE: probabilities,
            BASELINE: probabilities,
            NOVELTY: pa.float32(),
            BASELINE_NOVELTY: pa.float32(),
        },
        metadata,
    )


def read(evaluation_uri: str) -> Predictions:
    """Reads the predictions that Evaluator has kept.

    Args:
      evaluation_uri: folder of the ModelEvaluation artifact, on the local file system or where TensorFlow can open it.

    Raises:
      FileNotFoundError: if it has none; Regraft 0.4 and before kept none.
      OSError: if a file cannot be read.
    """
    import pyarrow as pa

    tables = [_table(os.path.join(evaluation_uri, name)) for name in _names(evaluation_uri)]
    if not tables:
        raise FileNotFoundError(f"{evaluation_uri}: this evaluation has no predictions; evaluate the model again")
    table = pa.concat_tables(tables).sort_by(KEY)
    metadata = tables[0].schema.metadata
    return Predictions(
        classes=json.loads(metadata[_CLASSES]),
        baseline_classes=json.loads(metadata.get(_BASELINE_CLASSES, b"null")),
        keys=table[KEY].to_pylist(),
        paths=table[PATH].to_pylist(),
        labels=table[LABEL].to_pylist(),
        candidate=_matrix(table[CANDIDATE], json.loads(metadata[_CLASSES])),
        baseline=_matrix(table[BASELINE], json.loads(metadata[_BASELINE_CLASSES]))
        if _BASELINE_CLASSES in metadata
        else None,
        novelty=_novelty(table, NOVELTY),
        baseline_novelty=_novelty(table, BASELINE_NOVELTY),
    )


def _novelty(table: pa.Table, column: str) -> np.ndarray | None:
    if column not in table.column_names or table[column].null_count:
        return None
    return table[column].to_numpy()


def _names(folder: str) -> list[str]:
    if "://" in folder:
        import tensorflow as tf  # takes seconds, which a local folder does not need

        names = tf.io.gfile.listdir(folder)
    else:
        names = os.listdir(folder)
    return sorted(name for name in names if name.startswith(PREFIX) and name.endswith(SUFFIX))


def _table(path: str) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if "://" not in path:
        return _content(pq.ParquetFile(path))
    import tensorflow as tf

    with tf.io.gfile.GFile(path, "rb") as file:
        return _content(pq.ParquetFile(pa.BufferReader(file.read())))


def _content(file: pq.ParquetFile) -> pa.Table:
    """The rows. Beam writes a file without row groups for an empty split, which Arrow refuses to read."""
    return file.read() if file.num_row_groups else file.schema_arrow.empty_table()


def _matrix(column: pa.ChunkedArray, classes: Sequence[str]) -> np.ndarray:
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return flat.astype(np.float32, copy=False).reshape(len(column), len(classes))
