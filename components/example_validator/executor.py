"""TFX's ExampleValidator, with an end to the run where it finds something."""

from __future__ import annotations

from typing import Any

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx import types
from tfx.components.example_validator import executor as tfx_executor
from tfx.proto.orchestration import execution_result_pb2
from tfx.types import artifact_utils
from tfx.utils import io_utils

from modules.errors import BadInputError


class Executor(tfx_executor.Executor):
    """Executor of ExampleValidator."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> execution_result_pb2.ExecutorOutput:
        """Validates as TFX does, then raises BadInputError with TFDV's own words if a split has an anomaly."""
        output = super().Do(input_dict, output_dict, exec_properties)
        artifact = artifact_utils.get_single_instance(output_dict["anomalies"])
        found = []
        for split in artifact_utils.decode_split_names(artifact.split_names):
            path = f"{artifact.uri}/Split-{split}/{tfx_executor.DEFAULT_FILE_NAME}"
            anomalies = anomalies_pb2.Anomalies.FromString(io_utils.read_bytes_file(path))
            found += [
                f"{split} split, {feature}: {info.short_description}: {info.description}"
                for feature, info in sorted(anomalies.anomaly_info.items())
            ]
            if anomalies.HasField("dataset_anomaly_info"):
                found.append(f"{split} split: {anomalies.dataset_anomaly_info.description}")
        if found:
            raise BadInputError("the images don't fit the schema:\n  " + "\n  ".join(found))
        return output
