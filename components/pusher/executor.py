"""Pushes a blessed candidate as the next version, whole or not at all."""

from __future__ import annotations

import dataclasses
import getpass
import json
import logging
import os
import subprocess
from pathlib import Path
from typing import Any

from tfx import types
from tfx.components.pusher import executor as tfx_executor
from tfx.components.util import model_utils
from tfx.types import artifact_utils
from tfx.utils import io_utils

from components import package, run_parameters, serving_directory
from components.evaluator import verdict
from components.example_validator import executor as example_validator
from components.image_example_gen import report
from components.pusher.properties import GATE, OVERRIDDEN, REFUSED_BY, SERVING_CHECK, STANDING, TF_SERVING, WITHDRAWN

_log = logging.getLogger("regraft.pusher")


class Executor(tfx_executor.Executor):
    """Executor of Pusher: TFX's blessing check and artifact marks, and a push of our own.

    TFX's push names versions by the second, and copies files to where a server already looks.
    """

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Pushes, unless the candidate isn't blessed, already is the newest version, or was rolled back.

        With `bless_anyway` it pushes what isn't blessed, too.

        Args:
          input_dict: `model`; `model_blessing`, with the verdict beside it; `infra_blessing`; `report`, of
            ImageExampleGen; `statistics` and `schema` of the facts.
          output_dict: `pushed_model`; its property `pushed_destination` names the version's folder.
          exec_properties: `directory`, the push destination; `keep`, how many versions stay, 0 for all; `config`, JSON
            of the run's configuration, for the manifest; `bless_anyway`, why a failed check doesn't count, or empty.
        """
        pushed_model = artifact_utils.get_single_instance(output_dict["pushed_model"])
        model = self.GetModelPath(input_dict)
        directory = serving_directory.ServingDirectory(exec_properties["directory"])
        candidate = serving_directory.model_fingerprint(model)
        standing = directory.standing(candidate)
        if standing is not None:
            pushed_model.set_int_custom_property(STANDING, standing)
        override = {}
        if refusing := _refusing(input_dict):
            pushed_model.set_string_custom_property(REFUSED_BY, ", ".join(refusing))
            if not exec_properties["bless_anyway"]:
                self._MarkNotPushed(pushed_model)
                return
            override = _override(input_dict, exec_properties["bless_anyway"])
            pushed_model.set_string_custom_property(OVERRIDDEN, exec_properties["bless_anyway"])
            _log.warning("  NOT BLESSED, pushed all the same: %s", exec_properties["bless_anyway"])
        if (rolled_back := directory.withdrawn(candidate)) is not None:
            _log.warning(
                "  the candidate is version %d, which was rolled back: promote it to have it again", rolled_back
            )
            self._MarkNotPushed(pushed_model)
            pushed_model.set_int_custom_property(WITHDRAWN, rolled_back)
            return
        version = standing
        if version is None:
            parent = directory.baseline(candidate)
            keep = exec_properties["keep"] or None
            manifest = {**_manifest(input_dict, exec_properties), "parent": parent, **override}
            version = directory.push(model, manifest, keep, _data(input_dict))
        else:
            _log.info("  the candidate already is version %d", version)
        self._MarkPushed(pushed_model, str(directory.path / str(version)), str(version))


def _refusing(input_dict: dict[str, list[types.Artifact]]) -> list[str]:
    """Who hasn't blessed the candidate."""
    blessed = {GATE: model_utils.is_model_blessed(artifact_utils.get_single_instance(input_dict["model_blessing"]))}
    for name, key in ((SERVING_CHECK, "infra_blessing"), (TF_SERVING, "tf_serving_blessing")):
        if input_dict.get(key):
            blessed[name] = model_utils.is_infra_validated(artifact_utils.get_single_instance(input_dict[key]))
    return [name for name, is_so in blessed.items() if not is_so]


def _override(input_dict: dict[str, list[types.Artifact]], reason: str) -> dict[str, Any]:
    """Who pushed past which checks, and why."""
    judged = verdict.load(artifact_utils.get_single_uri(input_dict["model_blessing"]))
    failed = [f"{check.metric} ({check.slice})" for check in judged.checks if not check.passed]
    failed += [name for name in _refusing(input_dict) if name != GATE]
    return {"blessed_anyway": {"reason": reason, "by": getpass.getuser(), "failed": failed}}


def _data(input_dict: dict[str, list[types.Artifact]]) -> serving_directory.DataRecord:
    statistics, schema = (artifact_utils.get_single_instance(input_dict[key]) for key in ("statistics", "schema"))
    return serving_directory.DataRecord(
        Path(example_validator.statistics_path(statistics, "train")), Path(io_utils.get_only_uri_in_dir(schema.uri))
    )


def _manifest(input_dict: dict[str, list[types.Artifact]], exec_properties: dict[str, Any]) -> dict[str, Any]:
    judged = verdict.load(artifact_utils.get_single_uri(input_dict["model_blessing"]))
    return {
        "model_artifact": artifact_utils.get_single_uri(input_dict["model"]),
        "package_version": package.VERSION,
        "git_revision": _git_revision(),
        "test": {"examples": judged.examples, "accuracy": judged.accuracy, "accuracy_bounds": judged.accuracy_bounds},
        "data": dataclasses.asdict(report.read_counts(artifact_utils.get_single_uri(input_dict["report"]))),
        "config": run_parameters.applied(json.loads(exec_properties["config"]), exec_properties),
    }


def _git_revision() -> str | None:
    """Of the folder that the run was started in, `-dirty` if it has changes; GIT_REVISION stands for it in images."""
    if revision := os.environ.get("GIT_REVISION"):
        return revision
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    except (OSError, subprocess.SubprocessError):  # no git, or no repository
        return None
