"""Serves the candidate in a process of its own, and refuses it if that goes wrong."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components.serving_check import comparison, findings, probe
from modules import reference_answers

_log = logging.getLogger("regraft.serving_check")

_OWN_PACKAGES = ("components", "modules", "pipeline", "kubeflow")
_TIMEOUT_SECONDS = 600
_TOLD = 300  # characters of what a process that failed said last


class Executor(base_executor.BaseExecutor):
    """Executor of ServingCheck."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Asks the served model what Trainer asked the one in memory.

        Args:
          input_dict: `model`, the candidate; `model_run`, with Trainer's reference answers.
          output_dict: `infra_blessing`, as TFX's Pusher reads it, with the findings beside it.
          exec_properties: `settings`, JSON of the section `serving_check` of the configuration.
        """
        settings = json.loads(exec_properties["settings"])
        model = path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict["model"]))
        reference = Path(artifact_utils.get_single_uri(input_dict["model_run"]), reference_answers.FILE)
        found = _check(model, reference, settings)
        blessing = artifact_utils.get_single_instance(output_dict["infra_blessing"])
        for refusal in found["refusals"]:
            _log.warning("  refused: %s", refusal)
        findings.write(blessing.uri, found)
        # As TFX's InfraValidator marks it.
        blessing.set_int_custom_property("blessed", int(not found["refusals"]))
        blessing.set_string_custom_property("state", "INFRA_NOT_BLESSED" if found["refusals"] else "INFRA_BLESSED")


def _check(model: str, reference: Path, settings: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        answers = Path(folder, "answers.json")
        command = [sys.executable, "-I", probe.__file__, model, str(reference), str(answers), *_OWN_PACKAGES]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, cwd=folder, timeout=_TIMEOUT_SECONDS, env=environment
            )
        except subprocess.TimeoutExpired:
            return {"refusals": [f"serving took more than {_TIMEOUT_SECONDS} s"], "measured": {}}
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1][-_TOLD:]
            return {"refusals": [f"serving ended with exit code {done.returncode}: {said}"], "measured": {}}
        served = json.loads(answers.read_text(encoding="utf-8"))
    tolerance = settings.pop("tolerance")
    content = json.loads(reference.read_text(encoding="utf-8"))
    refusals = [
        *comparison.disagreements(content, served["said"], tolerance),
        *comparison.missed_bounds(served["measured"], settings),
    ]
    return {"refusals": refusals, "measured": served["measured"]}
