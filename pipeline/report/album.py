"""Small pictures of the images that the page shows, each read once from the examples that ImageExampleGen wrote."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import tensorflow as tf

from config.data import EVAL, TEST, TRAIN
from modules.data import features
from pipeline import remains
from pipeline.report import pictures

# Bytes that are read at most of each split, so that large data sets take no longer than others.
_MOST_BYTES = {TEST: 400_000_000, TRAIN: 300_000_000, EVAL: 100_000_000}


@dataclass(frozen=True)
class Wanted:
    """Which images the page shows.

    Attributes:
      keys: of images in any split.
      paths: below the data folder, of images in any split.
      large: keys of images that are also shown large; they are among `keys`.
      classes: names of the classes of which some training images are shown.
      sheet: how many of each.
    """

    keys: Collection[str] = ()
    paths: Collection[str] = ()
    large: Collection[str] = ()
    classes: Collection[str] = ()
    sheet: int = 0


@dataclass(frozen=True)
class Album:
    """What was found of the images that were wanted.

    Attributes:
      small, large: pictures by key.
      files: by key, of the images with a large picture.
      keys: by path.
      sheets: class name to the keys of some training images.
    """

    small: Mapping[str, str] = field(default_factory=dict)
    large: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    sheets: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def picture_of(self, path: str) -> str | None:
        """The picture of the image with this path; None if it was not found."""
        key = self.keys.get(path)
        return self.small.get(key) if key else None


def collect(examples: str | None, wanted: Wanted) -> Album:
    """Reads the images.

    Args:
      examples: folder of the Examples artifact; None: there is none any more.
      wanted: which images.
    """
    if examples is None or not tf.io.gfile.isdir(examples):
        return Album()
    return remains.if_left(lambda: _read(examples, wanted)) or Album()


def _read(examples: str, wanted: Wanted) -> Album:
    search = _Search(wanted)
    small = pictures.of_all(one for split in (TEST, TRAIN, EVAL) for one in search.read(examples, split))
    large = pictures.of_all(search.files.items(), pictures.large)
    return Album(small, large, search.files, search.keys, search.sheets)


class _Search:
    """One pass over the splits, which ends where nothing is left to find."""

    def __init__(self, wanted: Wanted):
        self._wanted = wanted
        self._keys, self._paths, self._large = set(wanted.keys), set(wanted.paths), set(wanted.large)
        self.files: dict[str, bytes] = {}
        self.keys: dict[str, str] = {}
        self.sheets: dict[str, list[str]] = {name: [] for name in wanted.classes}
        self._unfilled = set(wanted.classes) if wanted.sheet else set()

    def read(self, examples: str, split: str) -> Iterator[tuple[str, bytes]]:
        """Key and file of the images of a split that are wanted, in the order of the shards."""
        files = sorted(tf.io.gfile.glob(os.path.join(examples, f"Split-{split}", "*")))
        total = 0
        for record in tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator() if files else ():
            if not self._keys and not self._paths and not (split == TRAIN and self._unfilled):
                return
            key, path, label, encoded = _parsed(record)
            total += len(record)
            if self._is_wanted(key, path, label if split == TRAIN else ""):
                if key in self._large:
                    self.files[key] = encoded
                yield key, encoded
            if total > _MOST_BYTES[split]:
                return

    def _is_wanted(self, key: str, path: str, label: str) -> bool:
        """Notes what is found; the image may be on the sheet of this class."""
        found = key in self._keys or path in self._paths
        self._keys.discard(key)
        if path in self._paths:
            self._paths.discard(path)
            self.keys[path] = key
        if label in self._unfilled:
            self.sheets[label].append(key)
            if len(self.sheets[label]) == self._wanted.sheet:
                self._unfilled.discard(label)
            return True
        return found


def _parsed(record: bytes) -> tuple[str, str, str, bytes]:
    values = tf.train.Example.FromString(record).features.feature
    key, path, label, encoded = (
        values[name].bytes_list.value[0] for name in (features.KEY, features.PATH, features.LABEL, features.ENCODED)
    )
    return key.decode(), os.fsdecode(path), label.decode("utf-8"), encoded
