"""The file `drift.json`, which ExampleValidator writes: what changed since the version in production was trained."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.data import Action

FILE = "drift.json"


@dataclass(frozen=True)
class Finding:
    """One change of the data.

    Attributes:
      feature: the feature that changed.
      message: a sentence about the change.
      action: `stop` or `warn`.
    """

    feature: str
    message: str
    action: Action


def as_json(finding: Finding) -> dict[str, Any]:
    """One element of `drift.json`, and of `data.drift` in `summary.json`."""
    return {"feature": finding.feature, "said": finding.message, "action": finding.action}


def dumps(findings: list[Finding]) -> str:
    """The content of `drift.json`."""
    return json.dumps([as_json(finding) for finding in findings], indent=2, ensure_ascii=False) + "\n"


def read(folder: str) -> list[Finding]:
    """Reads `drift.json` in the folder of an ExampleAnomalies artifact.

    Raises:
      FileNotFoundError: if it has no such file.
    """
    rows = json.loads(Path(folder, FILE).read_text("utf-8"))
    return [Finding(row["feature"], row["said"], row["action"]) for row in rows]
