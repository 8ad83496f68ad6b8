"""Pushes a blessed candidate as the next version, whole or not at all."""

from __future__ import annotations

import datetime
import logging
from typing import Any

from tfx import types
from tfx.components.pusher import executor as tfx_executor
from tfx.types import artifact_utils

from components import package, serving_directory

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
        """Pushes, unless the candidate isn't blessed or already is the newest version.

        Args:
          input_dict: `model`, `model_blessing`.
          output_dict: `pushed_model`; its property `pushed_destination` names the version's folder.
          exec_properties: `directory`, the push destination.
        """
        pushed_model = artifact_utils.get_single_instance(output_dict["pushed_model"])
        if not self.CheckBlessing(input_dict):
            self._MarkNotPushed(pushed_model)
            return
        model = self.GetModelPath(input_dict)
        directory = serving_directory.ServingDirectory(exec_properties["directory"])
        version = directory.standing(serving_directory.model_fingerprint(model))
        if version is None:
            version = directory.push(model, _manifest(input_dict))
        else:
            _log.info("  the candidate already is version %d", version)
        self._MarkPushed(pushed_model, str(directory.path / str(version)), str(version))


def _manifest(input_dict: dict[str, list[types.Artifact]]) -> dict[str, Any]:
    return {
        "pushed_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "model_artifact": artifact_utils.get_single_uri(input_dict["model"]),
        "package_version": package.VERSION,
    }
