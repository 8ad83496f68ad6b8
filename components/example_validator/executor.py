"""TFX's ExampleValidator, which stops the run if the data has anomalies or changed too much."""

from __future__ import annotations

import logging
import os
from typing import Any

from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2
from tfx import types
from tfx.components.example_validator import executor as tfx_executor
from tfx.proto.orchestration import execution_result_pb2
from tfx.types import artifact_utils
from tfx.utils import io_utils

from components import serving_directory
from components.example_validator import drift, drift_findings, statistics
from config.data import TRAIN, DriftConfig
from config.errors import BadInputError
from modules.data import features
from modules.files import atomic_write

_log = logging.getLogger("regraft.data")


class Executor(tfx_executor.Executor):
    """Executor of ExampleValidator."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> execution_result_pb2.ExecutorOutput:
        """Validates as TFX does, then compares the training split with production's, and writes `drift.json`.

        Args:
          input_dict: `statistics`, `schema`.
          output_dict: `anomalies`.
          exec_properties: see the component.

        Raises:
          BadInputError: if a split has an anomaly, with TFDV's description of it; or if the data changed too much.
        """
        output = super().Do(input_dict, output_dict, exec_properties)
        artifact = artifact_utils.get_single_instance(output_dict["anomalies"])
        _check_anomalies(artifact)
        changes = _changes(artifact_utils.get_single_instance(input_dict["statistics"]), exec_properties)
        atomic_write(os.path.join(artifact.uri, drift_findings.FILE), drift_findings.dumps(changes))
        for change in changes:
            if change.action == drift.WARN:
                _log.warning("  warning: %s", change.message)
        if stopping := [change.message for change in changes if change.action == drift.STOP]:
            raise BadInputError(
                "data.drift: the images differ too much from those that production was trained on; check the images, "
                "or allow the change in data.drift:\n  " + "\n  ".join(stopping)
            )
        return output


def _check_anomalies(artifact: types.Artifact) -> None:
    lines = []
    for split in artifact_utils.decode_split_names(artifact.split_names):
        path = f"{artifact.uri}/Split-{split}/{tfx_executor.DEFAULT_FILE_NAME}"
        anomalies = anomalies_pb2.Anomalies.FromString(io_utils.read_bytes_file(path))
        lines += [
            f"{split} split, {feature}: {info.short_description}: {info.description}"
            for feature, info in sorted(anomalies.anomaly_info.items())
            if not (feature in features.FACTS and _is_new_column(info))
        ]
        if anomalies.HasField("dataset_anomaly_info"):
            lines.append(f"{split} split: {anomalies.dataset_anomaly_info.description}")
    if lines:
        raise BadInputError(
            "data: the images do not match the schema; correct the images, or the file data.schema:\n  "
            + "\n  ".join(lines)
        )


def _is_new_column(info: anomalies_pb2.AnomalyInfo) -> bool:
    """Whether the only anomaly is that the schema lacks the feature. A curated schema may leave features out."""
    return {reason.type for reason in info.reason} == {anomalies_pb2.AnomalyInfo.SCHEMA_NEW_COLUMN}


def _changes(new: types.Artifact, exec_properties: dict[str, Any]) -> list[drift_findings.Finding]:
    production = serving_directory.ServingDirectory(exec_properties["directory"]).data_of_current()
    if production is None:
        return []
    schema = schema_pb2.Schema()
    io_utils.parse_pbtxt_file(str(production.schema), schema)
    return drift.find(
        drift.load(statistics.path(new, TRAIN)),
        drift.load(str(production.statistics)),
        schema,
        DriftConfig.parse(exec_properties["drift"]),
    )
