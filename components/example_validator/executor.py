"""TFX's ExampleValidator, with an end to the run where it finds something."""

from __future__ import annotations

import json
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
from components.example_validator import drift
from modules import features
from modules.errors import BadInputError

_log = logging.getLogger("regraft.data")

_STATISTICS = "FeatureStats.pb"


class Executor(tfx_executor.Executor):
    """Executor of ExampleValidator."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> execution_result_pb2.ExecutorOutput:
        """Validates as TFX does, then compares the training split with production's; `drift.json` says what changed.

        Args:
          input_dict: `statistics`, `schema`.
          output_dict: `anomalies`.
          exec_properties: `directory`, the push destination; `drift`, JSON of the section `data.drift`; and TFX's.

        Raises:
          BadInputError: with TFDV's own words if a split has an anomaly, with ours if too much has changed.
        """
        output = super().Do(input_dict, output_dict, exec_properties)
        artifact = artifact_utils.get_single_instance(output_dict["anomalies"])
        _refuse_anomalies(artifact)
        found = _changed(artifact_utils.get_single_instance(input_dict["statistics"]), exec_properties)
        io_utils.write_string_file(os.path.join(artifact.uri, drift.FILE), drift.dumps(found))
        for finding in found:
            if finding.action == drift.WARN:
                _log.warning("  warning: %s", finding.said)
        if stopping := [finding.said for finding in found if finding.action == drift.STOP]:
            raise BadInputError("the data is not what production was trained on:\n  " + "\n  ".join(stopping))
        return output


def statistics_path(statistics: types.Artifact, split: str) -> str:
    """The file of a split's statistics."""
    return os.path.join(artifact_utils.get_split_uri([statistics], split), _STATISTICS)


def _refuse_anomalies(artifact: types.Artifact) -> None:
    found = []
    for split in artifact_utils.decode_split_names(artifact.split_names):
        path = f"{artifact.uri}/Split-{split}/{tfx_executor.DEFAULT_FILE_NAME}"
        anomalies = anomalies_pb2.Anomalies.FromString(io_utils.read_bytes_file(path))
        found += [
            f"{split} split, {feature}: {info.short_description}: {info.description}"
            for feature, info in sorted(anomalies.anomaly_info.items())
            if not (feature in features.FACTS and _is_new_column(info))
        ]
        if anomalies.HasField("dataset_anomaly_info"):
            found.append(f"{split} split: {anomalies.dataset_anomaly_info.description}")
    if found:
        raise BadInputError("the images don't fit the schema:\n  " + "\n  ".join(found))


def _is_new_column(info: anomalies_pb2.AnomalyInfo) -> bool:
    """Whether all there is to say is that the schema doesn't mention it: a curated one needn't be about everything."""
    return {reason.type for reason in info.reason} == {anomalies_pb2.AnomalyInfo.SCHEMA_NEW_COLUMN}


def _changed(statistics: types.Artifact, exec_properties: dict[str, Any]) -> list[drift.Finding]:
    kept = serving_directory.ServingDirectory(exec_properties["directory"]).data_of_current()
    if kept is None:
        return []
    schema = schema_pb2.Schema()
    io_utils.parse_pbtxt_file(str(kept.schema), schema)
    new, old = (drift.load(path) for path in (statistics_path(statistics, "train"), str(kept.statistics)))
    return drift.find(new, old, schema, json.loads(exec_properties["drift"]))
