"""The run's last task: says what the gate found and what became of the model, and fails if nothing was pushed."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from components.evaluator import verdict
from kubeflow import executor_io
from pipeline import verdict_table

NOT_BLESSED = 3


def main(arguments: Sequence[str]) -> int:
    """Prints the verdict.

    Args:
      arguments: the launcher's `ExecutorInput` as JSON, with the artifacts `blessing`, `baseline_model`,
        `pushed_model`.

    Returns:
      the exit code: 0 pushed or nothing new to push, 3 not blessed.
    """
    artifacts = json.loads(arguments[0])["inputs"]["artifacts"]
    baseline, pushed = (_only(artifacts, key).get("metadata", {}) for key in ("baseline_model", "pushed_model"))
    found = verdict.load(executor_io.local_path(_only(artifacts, "blessing")["uri"]))
    verdict_table.show(found, int(baseline.get("version", 0)) or None, sys.stdout)
    if pushed.get("pushed"):
        print(f"pushed: {pushed['pushed_destination']}")
        return 0
    print(f"not pushed: refused by {pushed.get('refused_by', 'a rollback')}", file=sys.stderr)
    return NOT_BLESSED


def _only(artifacts: Mapping[str, Any], key: str) -> dict[str, Any]:
    (artifact,) = artifacts[key]["artifacts"]
    return artifact


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
