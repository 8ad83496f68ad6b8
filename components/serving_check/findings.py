"""What ServingCheck found, as it is kept beside its blessing: `serving_check.json`.

`refusals`, a list of sentences, empty if the candidate is blessed; `measured`, figures by name.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_FILE = "serving_check.json"


def write(folder: str | Path, content: dict[str, Any]) -> None:
    """Writes the file, whole or not at all."""
    path = Path(folder, _FILE)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)


def read(folder: str | Path) -> dict[str, Any]:
    """Reads what `write` wrote.

    Raises:
      FileNotFoundError: if there is nothing.
    """
    content: dict[str, Any] = json.loads(Path(folder, _FILE).read_text(encoding="utf-8"))
    return content
