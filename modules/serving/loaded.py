"""SavedModels in memory. Several stages of a run ask the same model, and each loading costs seconds."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import tensorflow as tf

from modules import files

_MODELS = 2  # the candidate and the model in production


def load(folder: str | Path) -> Any:
    """The model as tf.saved_model.load gives it: the same object for all callers of this process.

    A model whose files have changed since is loaded again. Two models at most stay in memory, until the process ends.

    Args:
      folder: of the SavedModel.

    Raises:
      OSError: if it has no SavedModel.
      tf.errors.OpError: if its files cannot be read.
    """
    return _load(str(folder), _state(str(folder)))


@functools.lru_cache(maxsize=_MODELS)
def _load(folder: str, state: tuple[Any, ...]) -> Any:
    with files.link_without_pattern(folder) as path:
        return tf.saved_model.load(path)


def _state(folder: str) -> tuple[Any, ...]:
    """Name, size and time of each file."""
    names = (tf.io.gfile.join(parent, name) for parent, _, found in tf.io.gfile.walk(folder) for name in found)
    stats = ((name, tf.io.gfile.stat(name)) for name in sorted(names))
    return tuple((name, stat.length, stat.mtime_nsec) for name, stat in stats)
