"""The files of a model's exports: one folder, which Export writes, Evaluator judges and Pusher copies into a version.

`exports.json` has `formats`: name to `file`, `bytes` and `sha256`; and the fields of description.Description.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from config.export import LITERT, LITERT_INT8, ONNX, Format
from modules.files import atomic_write

FILES: dict[Format, str] = {LITERT: "model.tflite", LITERT_INT8: "model_int8.tflite", ONNX: "model.onnx"}
LABELS = "labels.txt"  # class names by index, one per line
INDEX = "exports.json"


def write_index(folder: str | Path, formats: Sequence[Format], description: Mapping[str, Any]) -> None:
    """Writes `exports.json` and `labels.txt` beside the files of all formats.

    Args:
      folder: with the files.
      formats: those that are there.
      description: as description.Description.as_json gives it.
    """
    records = {}
    for name in formats:
        content = Path(folder, FILES[name]).read_bytes()
        records[name] = {
            "file": FILES[name],
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
    atomic_write(Path(folder, LABELS), "\n".join(description["classes"]) + "\n")
    index = json.dumps({"formats": records, **description}, ensure_ascii=False, indent=2)
    atomic_write(Path(folder, INDEX), index + "\n")


def read_index(folder: str | Path) -> dict[str, Any]:
    """The content of `exports.json`.

    Raises:
      FileNotFoundError: if the folder has no such file.
    """
    content: dict[str, Any] = json.loads(Path(folder, INDEX).read_text(encoding="utf-8"))
    return content
