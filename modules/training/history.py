"""What a training notes of itself: `history.json` in the folder of the ModelRun artifact."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modules.files import atomic_write

FILE = "history.json"


def write(model_run: str | Path, content: Mapping[str, Any]) -> None:
    """Writes the history; readers see the whole file or none.

    Args:
      model_run: the folder.
      content: `mode`, `reason` and so on as in trunk_features.Manifest; `tuned`, the values that Tuner found;
        `temperature`, which divides the served model's logits (1: nothing does); and `phases` as phases.fit gives them.
    """
    atomic_write(Path(model_run, FILE), json.dumps(content, indent=2) + "\n")


def read(model_run: str | Path) -> dict[str, Any]:
    """Reads what `write` wrote.

    Raises:
      FileNotFoundError: if the folder has no such file.
    """
    history: dict[str, Any] = json.loads(Path(model_run, FILE).read_text(encoding="utf-8"))
    return history
