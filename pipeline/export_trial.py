"""Tries the conversions of a run before its first stage."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path

from components import code_digest
from config.run import RunConfig
from modules.exporting import packages, trial
from modules.files import atomic_write

_FILE = "export_trial.txt"
_log = logging.getLogger("regraft.runner")


def check(config: RunConfig, classes: Sequence[str], folder: Path) -> None:
    """Refuses a classifier that cannot be converted to a format of `export`. What has passed is not tried again.

    Args:
      config: of the run.
      classes: class names by index.
      folder: the run's; a file there says what has passed last.

    Raises:
      ExportError: naming the backbone, the format and the operation that it lacks.
    """
    if config.export is None:
        return
    formats = config.export.formats
    packages.raise_if_missing(formats)
    classifier = config.classifier
    parts = [classifier.backbone.serialized(), classifier.head.serialized(), sorted(formats), len(classes)]
    key = hashlib.sha256(json.dumps([*parts, code_digest.of(trial.__name__)]).encode()).hexdigest()
    passed = folder / _FILE
    if passed.is_file() and passed.read_text(encoding="utf-8") == key:
        return
    _log.info("trying to convert the untrained classifier to %s", ", ".join(formats))
    trial.check(classifier, classes, formats)
    atomic_write(passed, key)
