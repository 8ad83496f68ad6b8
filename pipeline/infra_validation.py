"""TFX's InfraValidator, which asks the candidate in TF Serving's own container about a few images."""

from __future__ import annotations

from tfx import components as tfx_components
from tfx import types
from tfx.proto import infra_validator_pb2

from config.data import EVAL
from modules.serving import signatures


def stage(tag: str, examples: types.BaseChannel, model: types.BaseChannel) -> tfx_components.InfraValidator:
    """Declares the stage.

    Args:
      tag: of the Docker image `tensorflow/serving`.
      examples: raw examples, as ImageExampleGen writes them.
      model: the candidate.
    """
    return tfx_components.InfraValidator(
        model=model,
        examples=examples,
        serving_spec=infra_validator_pb2.ServingSpec(
            tensorflow_serving=infra_validator_pb2.TensorFlowServing(tags=[tag]),
            local_docker=infra_validator_pb2.LocalDockerConfig(),
        ),
        request_spec=infra_validator_pb2.RequestSpec(
            tensorflow_serving=infra_validator_pb2.TensorFlowServingRequestSpec(
                signature_names=[signatures.SERVING_DEFAULT]
            ),
            split_name=EVAL,
            num_examples=8,
        ),
    )
