"""Pushes a blessed candidate as the next version. A server sees the whole version or none of it."""

from __future__ import annotations

import dataclasses
import functools
import getpass
import importlib.metadata
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

from components import accuracy_warnings, run_parameters, serving_directory
from components.evaluator import verdict
from components.example_validator import drift_findings, statistics
from components.image_example_gen import report
from components.pusher import exports, model_card, properties
from components.serving_check import findings
from config.data import TRAIN
from config.run import RunConfig
from modules.training import history

_log = logging.getLogger("regraft.pusher")


class Executor(tfx_executor.Executor):
    """Executor of Pusher. It takes the check of the blessings and the marks on the artifact from TFX.

    It does not take TFX's way of pushing, which names versions by the second and copies files into a folder that a
    server may already read.
    """

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Pushes, unless the candidate is not blessed, is nothing new, or was rolled back.

        Nothing new is a candidate that is the current version already, or gives the same answers as it. With
        `bless_anyway` it also pushes a candidate that is not blessed, or gives the same answers.

        Args:
          input_dict: `model`; `model_blessing`, with the verdict beside it; `infra_blessing`; `report`, of
            ImageExampleGen; `statistics` and `schema` of the facts about the images; `anomalies`, of ExampleValidator,
            and `model_run`, of Trainer, for the model card; perhaps `exports`, of Export.
          output_dict: `pushed_model`; its property `pushed_destination` names the version's folder.
          exec_properties: `directory`, the push directory; `keep`, how many versions stay, 0 for all; `config`, JSON
            of the run's configuration, for the manifest; `bless_anyway`, why a failed check does not count, or empty.
        """
        pushed_model = artifact_utils.get_single_instance(output_dict["pushed_model"])
        model = self.GetModelPath(input_dict)
        directory = serving_directory.ServingDirectory(exec_properties["directory"])
        candidate = serving_directory.model_fingerprint(model)
        version = exports.if_complete(directory, directory.current_version_of(candidate), input_dict)
        if version is not None:
            _log.info("  the candidate is version %d already", version)
            pushed_model.set_int_custom_property(properties.CURRENT, version)
        override = {}
        if refused_by := _refused_by(input_dict):
            pushed_model.set_string_custom_property(properties.REFUSED_BY, ", ".join(refused_by))
            reason = exec_properties["bless_anyway"]
            if not reason:
                self._MarkNotPushed(pushed_model)
                return
            override = _override(input_dict, reason)
            pushed_model.set_string_custom_property(properties.BLESSED_ANYWAY, reason)
            _log.warning("  NOT BLESSED, pushed anyway: %s", reason)
        if (rolled_back := directory.rolled_back_version_of(candidate)) is not None:
            _log.warning(
                "  not pushed: the candidate is version %d, which was rolled back; to serve it again, run "
                "regraft versions promote %s %d",
                *(rolled_back, directory.path, rolled_back),
            )
            self._MarkNotPushed(pushed_model)
            pushed_model.set_int_custom_property(properties.ROLLED_BACK, rolled_back)
            return
        if version is None and not exec_properties["bless_anyway"]:
            version = _version_with_same_answers(input_dict, directory)
            if version is not None:
                _log.info("  the candidate gives the same answers as version %d", version)
                pushed_model.set_int_custom_property(properties.SAME_ANSWERS, version)
        if version is None:
            parent = directory.baseline(candidate)
            keep = exec_properties["keep"] or None
            manifest = {**_manifest(input_dict, exec_properties), "parent": parent, **override}
            warm_up = RunConfig.parse(exec_properties["config"]).push.warm_up
            card = functools.partial(model_card.files, _facts(input_dict, exec_properties))
            files = exports.folder_of(input_dict)
            version = directory.push(model, manifest, keep, _data(input_dict), warm_up, card, files)
        self._MarkPushed(pushed_model, str(directory.folder(version)), str(version))


def _version_with_same_answers(
    input_dict: dict[str, list[types.Artifact]], directory: serving_directory.ServingDirectory
) -> int | None:
    """The current version, if Evaluator compared the candidate with it and found no difference; None otherwise.

    A version that lacks a format of the candidate's exports is not the same.
    """
    judged = verdict.load(artifact_utils.get_single_uri(input_dict["model_blessing"]))
    version = judged.same_answers_as
    same = version if version is not None and directory.versions()[-1:] == [version] else None
    return exports.if_complete(directory, same, input_dict)


def _refused_by(input_dict: dict[str, list[types.Artifact]]) -> list[str]:
    """The checks that did not bless the candidate."""
    gate = artifact_utils.get_single_instance(input_dict["model_blessing"])
    blessed = {properties.GATE: model_utils.is_model_blessed(gate)}
    for name, key in ((properties.SERVING_CHECK, "infra_blessing"), (properties.TF_SERVING, "tf_serving_blessing")):
        if input_dict.get(key):
            blessed[name] = model_utils.is_infra_validated(artifact_utils.get_single_instance(input_dict[key]))
    return [name for name, is_blessed in blessed.items() if not is_blessed]


def _override(input_dict: dict[str, list[types.Artifact]], reason: str) -> dict[str, Any]:
    """For the manifest: who pushed a candidate that is not blessed, why, and which checks failed."""
    judged = verdict.load(artifact_utils.get_single_uri(input_dict["model_blessing"]))
    failed = [f"{check.metric} ({check.slice})" for check in judged.checks if not check.passed]
    failed += [name for name in _refused_by(input_dict) if name != properties.GATE]
    return {"blessed_anyway": {"reason": reason, "by": getpass.getuser(), "failed": failed}}


def _data(input_dict: dict[str, list[types.Artifact]]) -> serving_directory.DataRecord:
    facts, schema = (artifact_utils.get_single_instance(input_dict[key]) for key in ("statistics", "schema"))
    return serving_directory.DataRecord(
        Path(statistics.path(facts, TRAIN)), Path(io_utils.get_only_uri_in_dir(schema.uri))
    )


def _facts(input_dict: dict[str, list[types.Artifact]], exec_properties: dict[str, Any]) -> model_card.Facts:
    names = ("report", "anomalies", "model_run", "model_blessing", "infra_blessing")
    ingested, anomalies, model_run, gate, serving = (artifact_utils.get_single_uri(input_dict[name]) for name in names)
    config = run_parameters.applied(RunConfig.parse(exec_properties["config"]), exec_properties)
    counts = report.read_counts(ingested)
    return model_card.Facts(
        config=config,
        counts=counts,
        warnings=list(accuracy_warnings.of(counts, ingested, config.gate, drift_findings.read(anomalies))),
        training=history.read(model_run),
        verdict=verdict.load(gate),
        serving_check=findings.read(serving),
        exports=exports.for_card(input_dict),
    )


def _manifest(input_dict: dict[str, list[types.Artifact]], exec_properties: dict[str, Any]) -> dict[str, Any]:
    judged = verdict.load(artifact_utils.get_single_uri(input_dict["model_blessing"]))
    return {
        "model_artifact": artifact_utils.get_single_uri(input_dict["model"]),
        "package_version": importlib.metadata.version("regraft"),
        "git_revision": _git_revision(),
        "test": {"examples": judged.examples, "accuracy": judged.accuracy, "accuracy_bounds": judged.accuracy_bounds},
        "data": dataclasses.asdict(report.read_counts(artifact_utils.get_single_uri(input_dict["report"]))),
        "config": _config(exec_properties),
        **exports.for_manifest(input_dict),
    }


def _config(exec_properties: dict[str, Any]) -> dict[str, Any]:
    """The run's configuration, with the parameters of the run in it."""
    text = exec_properties["config"]
    config = run_parameters.applied(RunConfig.parse(text), exec_properties)
    return config.model_dump(mode="json", by_alias=True, include=set(json.loads(text)))


def _git_revision() -> str | None:
    """The revision of the folder that the run was started in; `-dirty` at its end means uncommitted changes.

    Container images have no repository; there the environment variable GIT_REVISION has the revision.
    """
    if revision := os.environ.get("GIT_REVISION"):
        return revision
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    except (OSError, subprocess.SubprocessError):  # no git, or no repository
        return None
