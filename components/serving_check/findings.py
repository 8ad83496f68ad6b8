"""The file `serving_check.json`, which ServingCheck writes beside its blessing.

`refusals` is a list of sentences, which is empty if the candidate is blessed. `measured` has figures by name.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from modules.files import atomic_write

_FILE = "serving_check.json"


def write(folder: str | Path, content: dict[str, Any]) -> None:
    """Writes the file; readers see the whole file or none."""
    atomic_write(Path(folder, _FILE), json.dumps(content, indent=2) + "\n")


def read(folder: str | Path) -> dict[str, Any]:
    """Reads the file.

    Raises:
      FileNotFoundError: if the folder has no such file.
    """
    content: dict[str, Any] = json.loads(Path(folder, _FILE).read_text(encoding="utf-8"))
    return content
