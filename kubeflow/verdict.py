"""The run's last task: prints the verdict and the pushed version, and fails if nothing was pushed."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from components.baseline_model import properties
from components.evaluator import slice_findings, verdict
from components.pusher import properties as pusher
from config.errors import ExitCode, listed
from kubeflow import executor_io
from pipeline import verdict_table


def main(arguments: Sequence[str]) -> ExitCode:
    """Prints the verdict.

    Args:
      arguments: the launcher's `ExecutorInput` as JSON, with the artifacts `blessing`, `baseline_model`,
        `pushed_model`.

    Returns:
      OK if a model was pushed, or there was nothing new to push; NOT_BLESSED otherwise.
    """
    artifacts = json.loads(arguments[0])["inputs"]["artifacts"]
    baseline, pushed = (_only(artifacts, key).get("metadata", {}) for key in ("baseline_model", "pushed_model"))
    blessing = executor_io.local_path(_only(artifacts, "blessing")["uri"])
    found = verdict.load(blessing)
    verdict_table.show(found, _version(baseline), slice_findings.read(blessing), sys.stdout)
    if same := pushed.get(pusher.SAME_ANSWERS):
        print(f"nothing new to push: the candidate gives the same answers as version {int(same)}")
        return ExitCode.OK
    if pushed.get("pushed"):
        print(f"pushed: {pushed['pushed_destination']}")
        return ExitCode.OK
    if rolled_back := pushed.get(pusher.ROLLED_BACK):
        print(f"not pushed: this model is version {int(rolled_back)}, which was rolled back", file=sys.stderr)
    else:
        reasons = verdict_table.refusals(found)
        detail = f"; {listed(reasons, 3)}" if reasons else ""
        print(f"not pushed: refused by {pushed[pusher.REFUSED_BY]}{detail}", file=sys.stderr)
    return ExitCode.NOT_BLESSED


def _version(baseline: Mapping[str, Any]) -> int | None:
    """The version that the candidate was compared with; None if there was none."""
    if baseline.get(properties.ABSENT) or properties.VERSION not in baseline:
        return None
    return int(baseline[properties.VERSION])


def _only(artifacts: Mapping[str, Any], key: str) -> dict[str, Any]:
    (artifact,) = artifacts[key]["artifacts"]
    return artifact


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
