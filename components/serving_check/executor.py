"""Serves the candidate in a process of its own, and refuses it if its answers or its speed are not as required."""

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

from components import code_digest, ended_process
from components.serving_check import comparison, findings, probe
from config.errors import one_line
from config.serving import ServingCheckConfig
from modules.serving import reference_predictions

_log = logging.getLogger("regraft.serving_check")

_TIMEOUT_SECONDS = 600


class Executor(base_executor.BaseExecutor):
    """Executor of ServingCheck."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Compares the answers of the served model with those of the model in Trainer's memory.

        Args:
          input_dict: `model`, the candidate; `model_run`, with Trainer's reference predictions.
          output_dict: `infra_blessing`, as TFX's Pusher reads it; the findings are a file in its folder.
          exec_properties: see the component.
        """
        config = ServingCheckConfig.parse(exec_properties["config"])
        model = path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict["model"]))
        reference = Path(artifact_utils.get_single_uri(input_dict["model_run"]), reference_predictions.FILE)
        result = _check(model, reference, config)
        blessing = artifact_utils.get_single_instance(output_dict["infra_blessing"])
        for refusal in result["refusals"]:
            _log.warning("  refused: %s", refusal)
        findings.write(blessing.uri, result)
        # The properties that TFX's InfraValidator sets.
        blessing.set_int_custom_property("blessed", int(not result["refusals"]))
        blessing.set_string_custom_property("state", "INFRA_NOT_BLESSED" if result["refusals"] else "INFRA_BLESSED")


def _check(model: str, reference: Path, config: ServingCheckConfig) -> dict[str, Any]:
    """The content of components/serving_check/findings.py's file."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "output.json")
        command = [sys.executable, "-I", probe.__file__, model, str(reference), str(output), *code_digest.PACKAGES]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, cwd=folder, timeout=_TIMEOUT_SECONDS, env=environment
            )
        except subprocess.TimeoutExpired:
            return {"refusals": [f"the serving process took more than {_TIMEOUT_SECONDS} s"], "measured": {}}
        ended_process.check(done.returncode, "the serving process", "the candidate")
        if done.returncode:
            reason = one_line((done.stderr.strip().splitlines() or ["it printed no error"])[-1])
            refusal = f"the serving process ended with exit code {done.returncode}: {reason}"
            return {"refusals": [refusal], "measured": {}}
        served = json.loads(output.read_text(encoding="utf-8"))
    content = json.loads(reference.read_text(encoding="utf-8"))
    refusals = [
        *comparison.disagreements(content, served["answers"], config.tolerance),
        *comparison.without_warm_up(served["answers"], served["warmed_up"]),
        *comparison.missed_bounds(served["measured"], config.bounds()),
    ]
    return {"refusals": refusals, "measured": served["measured"]}
