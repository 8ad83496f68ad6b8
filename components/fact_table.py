"""The facts about every image, as ImageExampleGen keeps them in its report: Parquet files, one per shard of examples.

| column             | type   | value                                                                     |
|--------------------|--------|---------------------------------------------------------------------------|
| `key`              | string | SHA-256 of the image's bytes, 64 lower-case hexadecimal digits            |
| `label`            | string | the class name that the data gives the image                              |
| `image/height`     | int64  | pixels; `image/width`, too                                                |
| `image/brightness` | double | see modules/data/features.py; `image/sharpness`, too                      |
| `image/format`     | string | of the file as found                                                      |
| `image/camera`     | string | empty if it is not known                                                  |
| `column/<name>`    | string | of a column of the manifest that `data.slice_columns` names; may be empty |

The name of each file begins with the split: `train-00000-of-00003.parquet`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from config.image_facts import COLUMN
from modules.data import features

FOLDER = "facts"
KEY, LABEL = "key", "label"
NUMBERS = (features.HEIGHT, features.WIDTH, features.BRIGHTNESS, features.SHARPNESS)
_TEXTS = (features.FORMAT, features.CAMERA)
_WHOLE = (features.HEIGHT, features.WIDTH)


@dataclass(frozen=True)
class FactTable:
    """Facts about some images.

    Attributes:
      keys: of the images.
      labels: names of their classes.
      numbers: feature to float64 [images].
      texts: feature to value of each image; empty for none.
    """

    keys: Sequence[str]
    labels: Sequence[str]
    numbers: Mapping[str, np.ndarray]
    texts: Mapping[str, Sequence[str]]


def write(folder: str, name: str, columns: Sequence[str], rows: Iterable[Mapping[str, str | int | float]]) -> None:
    """Writes one file.

    Args:
      folder: of the table, local or where TensorFlow can write.
      name: of the file, without its ending.
      columns: names of the manifest's columns that are kept.
      rows: column of the table to value.
    """
    kinds = {name: pa.int64() if name in _WHOLE else pa.float64() for name in NUMBERS}
    texts = (KEY, LABEL, *_TEXTS, *(f"{COLUMN}{column}" for column in columns))
    schema = pa.schema({**dict.fromkeys(texts, pa.string()), **kinds})
    content = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(list(rows), schema), content)
    tf.io.gfile.makedirs(folder)
    with tf.io.gfile.GFile(os.path.join(folder, f"{name}.parquet"), "wb") as file:
        file.write(content.getvalue().to_pybytes())


def read(report_uri: str, splits: Collection[str], most: int | None = None) -> FactTable:
    """Reads the facts about the images of some splits.

    Args:
      report_uri: folder of the ingest report.
      splits: their names.
      most: images that are read at least, if there are so many; whole files are left out then. None: all.

    Raises:
      FileNotFoundError: if the report has none; Regraft 0.4 and before kept none.
    """
    folder = os.path.join(report_uri, FOLDER)
    names = tf.io.gfile.listdir(folder) if tf.io.gfile.isdir(folder) else []
    tables: list[pa.Table] = []
    for name in sorted(name for name in names if name.partition("-")[0] in splits):
        if most is None or sum(map(len, tables)) < most:
            with tf.io.gfile.GFile(os.path.join(folder, name), "rb") as file:
                tables.append(pq.read_table(pa.BufferReader(file.read())))
    if not tables:
        raise FileNotFoundError(f"{report_uri}: this report has no facts about the images; run ImageExampleGen again")
    table = pa.concat_tables(tables)
    texts = [name for name in table.column_names if name in _TEXTS or name.startswith(COLUMN)]
    return FactTable(
        table[KEY].to_pylist(),
        table[LABEL].to_pylist(),
        {name: table[name].to_numpy().astype(np.float64) for name in NUMBERS},
        {name: table[name].to_pylist() for name in texts},
    )


def are_numbers(values: Sequence[str], least: int) -> bool:
    """Whether a column has numbers, rather than names that are written as numbers.

    Args:
      values: of each image; empty for none.
      least: distinct numbers that it needs.
    """
    numbers = to_numbers(list({value for value in values if value}))
    return bool(np.isfinite(numbers).all()) and len(np.unique(numbers)) >= least


def to_numbers(values: Sequence[str]) -> np.ndarray:
    """float64 [images]: not a number where the value is empty or no finite number."""
    known = {value: _to_number(value) for value in set(values)}
    return np.array([known[value] for value in values], np.float64)


def _to_number(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan
