"""The artifact `image_features`: one vector per image of every split.

For each split, a folder `Split-<name>` holds two files, whose rows are in the order of the keys:

| file             | content                                                                            |
|------------------|------------------------------------------------------------------------------------|
| `features.npy`   | float16 [images, features]: pooled features of blocks of the backbone, not scaled  |
| `images.parquet` | `key` (SHA-256), `path` (bytes), `label`, `group`: of each image; strings otherwise |

`features.json` has `blocks`: how many of the features are of each block of the backbone, the last block last.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from modules.data import features
from modules.files import atomic_write

_FEATURES, _IMAGES, _MANIFEST = "features.npy", "images.parquet", "features.json"
DTYPE = np.float16
_LARGEST = float(np.finfo(DTYPE).max)
_BATCH = 256  # examples parsed at a time


@dataclass(frozen=True)
class Split:
    """The images of one split, in the order of their keys.

    Attributes:
      keys: of the images.
      paths: below the data folder; bytes that are not UTF-8 are surrogate escapes.
      labels: names of the classes.
      groups: empty for no group.
      vectors: float16 [images, features]; mapped from the file.
    """

    keys: list[str]
    paths: list[str]
    labels: list[str]
    groups: list[str]
    vectors: np.ndarray


@dataclass(frozen=True)
class ImageFeatures:
    """All images.

    Attributes:
      splits: by name.
      blocks: how many of the features are of each block of the backbone, the last block last.
    """

    splits: dict[str, Split]
    blocks: tuple[int, ...]


class Stacked:
    """The vectors of several splits as if they were one array, which is read from the disk piece by piece."""

    def __init__(self, parts: Sequence[np.ndarray]):
        """Joins arrays; each is [images, features]."""
        self._parts = list(parts)
        self._starts = np.cumsum([0, *map(len, self._parts)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """float32 [rows, features] of these images, whose numbers count through all parts."""
        found = np.empty((len(rows), self._parts[0].shape[1]), np.float32)
        for part, start in zip(self._parts, self._starts, strict=False):
            own = (rows >= start) & (rows < start + len(part))
            found[own] = part[rows[own] - start]
        return found


def read(uri: str) -> ImageFeatures:
    """Reads the artifact; vectors stay on the disk until they are used.

    Raises:
      FileNotFoundError: if the folder is no such artifact.
    """
    manifest = json.loads(Path(uri, _MANIFEST).read_text(encoding="utf-8"))
    return ImageFeatures(
        {name: _read_split(_folder(uri, name)) for name in manifest["splits"]}, tuple(manifest["blocks"])
    )


def write_manifest(uri: str, splits: Sequence[str], blocks: Sequence[int]) -> None:
    """Written last: it says that the splits are complete."""
    atomic_write(Path(uri, _MANIFEST), json.dumps({"splits": list(splits), "blocks": list(blocks)}) + "\n")


class Writer:
    """Writes one split; vectors may come in any order."""

    def __init__(self, uri: str, split: str, files: Sequence[str], width: int):
        """Reads which images there are, and makes room.

        Args:
          uri: of the artifact.
          split: its name.
          files: TFRecords of raw examples, compressed with gzip.
          width: number of features.
        """
        folder = _folder(uri, split)
        folder.mkdir(parents=True)
        rows = sorted(_raw_facts(files))
        columns = list(zip(*rows, strict=True)) if rows else [(), (), (), ()]
        names = (("key", pa.string()), ("path", pa.binary()), ("label", pa.string()), ("group", pa.string()))
        table = {name: pa.array(column, kind) for (name, kind), column in zip(names, columns, strict=True)}
        pq.write_table(pa.table(table), folder / _IMAGES)
        self.images = len(rows)
        self._row = {row[0]: index for index, row in enumerate(rows)}
        self._missing = np.ones(len(rows), bool)
        # An array without rows cannot be mapped.
        shape = (len(rows), width)
        path = folder / _FEATURES
        if rows:
            self._vectors = np.lib.format.open_memmap(path, "w+", DTYPE, shape)
        else:
            np.save(path, np.empty(shape, DTYPE))

    def add(self, keys: Sequence[str], vectors: np.ndarray) -> None:
        """Writes the vectors of some images.

        Args:
          keys: of the images.
          vectors: float [images, features]; what float16 cannot hold becomes its largest number.
        """
        rows = [self._row[key] for key in keys]
        self._vectors[rows] = np.clip(vectors, -_LARGEST, _LARGEST)
        self._missing[rows] = False

    def close(self) -> None:
        """Ends the split.

        Raises:
          ValueError: if an image has no vector.
        """
        if self._missing.any():
            raise ValueError(f"{int(self._missing.sum())} of {self.images} images have no features")
        if self.images:
            self._vectors.flush()


def _folder(uri: str, split: str) -> Path:
    return Path(uri, f"Split-{split}")


def _read_split(folder: Path) -> Split:
    columns = pq.read_table(folder / _IMAGES).to_pydict()
    vectors = np.load(folder / _FEATURES, mmap_mode="r" if columns["key"] else None)
    paths = [os.fsdecode(path) for path in columns["path"]]
    return Split(columns["key"], paths, columns["label"], columns["group"], vectors)


def _raw_facts(files: Sequence[str]) -> Iterator[tuple[str, bytes, str, str]]:
    """Key, path, label and group of each example."""
    names = (features.KEY, features.PATH, features.LABEL, features.GROUP)
    spec = {name: tf.io.FixedLenFeature([], tf.string) for name in names}
    batches = tf.data.TFRecordDataset(list(files), "GZIP").batch(_BATCH)
    for batch in batches.map(lambda serialized: tf.io.parse_example(serialized, spec)).as_numpy_iterator():
        for key, path, label, group in zip(*(batch[name] for name in names), strict=True):
            yield key.decode("ascii"), path, label.decode("utf-8"), group.decode("utf-8")
