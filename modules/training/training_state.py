"""The state of an unfinished training: saved between epochs, found again by the next run."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from config.errors import one_line

_log = logging.getLogger("regraft.trainer")

# Of a training's time, at most. Saving can take as long as a short epoch on features: then not every epoch is saved.
SAVING_SHARE = 0.05


Saved = tuple[dict[str, Any], dict[str, list[np.ndarray]]]
"""Plain values, and lists of arrays by name."""


class TrainingState:
    """A folder that holds the state of one training, named by all that the training depends on.

    One file, replaced whole: JSON of plain values, and arrays.
    """

    _FILE = "state.npz"

    def __init__(self, directory: str | None, depends_on: Any):
        """Chooses the folder.

        Args:
          directory: where such states are kept; None: nothing is saved.
          depends_on: JSON-serialisable; another value is another training.
        """
        self._folder = Path(directory, digest(depends_on)) if directory else None
        self._next_save = time.monotonic()

    def is_due(self) -> bool:
        """Whether it is time to save: at first, and then whenever saving takes SAVING_SHARE of the time at most."""
        return self._folder is not None and time.monotonic() >= self._next_save

    def save(self, values: dict[str, Any], arrays: dict[str, list[np.ndarray]]) -> None:
        """Replaces the state.

        Args:
          values: JSON-serialisable.
          arrays: lists of arrays by name.
        """
        if self._folder is None:
            return
        start = time.monotonic()
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = self._folder / f"{self._FILE}.tmp"
        flat = {f"{name}/{index}": array for name, group in arrays.items() for index, array in enumerate(group)}
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, values=np.array(json.dumps(values)), **flat)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._folder / self._FILE)
        saved = time.monotonic()
        self._next_save = saved + (saved - start) * (1 / SAVING_SHARE - 1)

    def load(self) -> Saved | None:
        """The state as it was saved last; None if nothing was saved, or it is damaged."""
        if self._folder is None or not (self._folder / self._FILE).is_file():
            return None
        try:
            return self._read()
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
            _log.warning(
                "  the saved state of the unfinished training is damaged (%s); the training starts again",
                one_line(error),
            )
            return None

    def _read(self) -> Saved:
        assert self._folder is not None
        with np.load(self._folder / self._FILE, allow_pickle=False) as content:
            arrays: dict[str, list[np.ndarray]] = {}
            names = [name.rpartition("/") for name in content.files if name != "values"]
            for group, _, index in sorted(names, key=lambda name: (name[0], int(name[2]))):
                arrays.setdefault(group, []).append(content[f"{group}/{index}"])
            return json.loads(str(content["values"])), arrays

    def discard(self) -> None:
        """Deletes the state: the training has ended."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def digest(depends_on: Any) -> str:
    """The name of a folder for the state of something; 16 hexadecimal digits.

    Args:
      depends_on: JSON-serialisable; all that it depends on.
    """
    return hashlib.sha256(json.dumps(depends_on, sort_keys=True).encode()).hexdigest()[:16]


def identity(fn_args: Any) -> dict[str, Any]:
    """What makes one training or search the same as another: its configuration and its data, wherever they are.

    Args:
      fn_args: see trainer.run_fn.
    """
    config = {key: value for key, value in fn_args.custom_config.items() if key != "state_directory"}
    config["hyperparameters"] = fn_args.hyperparameters
    if all(config.get("data", {"": ""}).values()):
        return config
    return {**config, "paths": [*fn_args.train_files, *fn_args.eval_files, fn_args.transform_graph_path]}
