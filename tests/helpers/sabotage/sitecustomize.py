"""Makes the second reading of ImageExampleGen fail, in each process that has this folder on PYTHONPATH.

Python imports this file when it starts. SABOTAGE names a photo, which changes when an examples file is opened; if it is
empty, the disk is full. If it ends with KILLED, the process is killed.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import os
import signal
import sys
from types import ModuleType
from typing import Any


class _Finder(importlib.abc.MetaPathFinder):
    """Sabotages TensorFlow once it is imported."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def load_and_sabotage(module: ModuleType) -> None:
            load(module)
            _sabotage(module)

        spec.loader.exec_module = load_and_sabotage
        return spec


def _sabotage(tf: Any) -> None:
    writer = tf.io.TFRecordWriter

    def sabotaged(*arguments: Any) -> Any:
        if not os.environ["SABOTAGE"]:
            raise OSError(28, "No space left on device", "examples")
        if os.environ["SABOTAGE"].endswith("KILLED"):
            os.kill(os.getpid(), signal.SIGKILL)
        with open(os.environ["SABOTAGE"], "ab") as photo:
            photo.write(b"changed")
        return writer(*arguments)

    tf.io.TFRecordWriter = sabotaged


sys.meta_path.insert(0, _Finder())
