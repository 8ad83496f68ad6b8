"""Messages of the launcher, translated for TFX, and back."""

from __future__ import annotations

import copy

import pytest

from kubeflow import executor_io

EXAMPLES = "title: tfx.Examples\ntype: object\n"
INPUTS_SPEC = {
    "artifacts": {
        "examples": {"artifactType": {"instanceSchema": EXAMPLES}},
        "report": {"artifactType": {"instanceSchema": "title: regraft.IngestReport\ntype: object\n"}},
    }
}
LAUNCHER = {
    "inputs": {
        "parameterValues": {"keep": 2},
        "artifacts": {
            "examples": {
                "artifacts": [
                    {
                        "name": "7",
                        "uri": "s3://bucket/root/examples",
                        "type": {"instanceSchema": ""},
                        "metadata": {
                            "display_name": "examples",
                            "store_session_info": "{}",
                            "span": 3.0,
                            "splits": {"list": ["train"]},
                            "about": {"struct": {"a": 1}},
                            "own": {"list": [1], "struct": 2},
                        },
                    }
                ]
            },
            "report": {"artifacts": [{"name": "8", "uri": "minio://bucket/report", "type": {"instanceSchema": ""}}]},
        },
    },
    "outputs": {
        "artifacts": {
            "model": {
                "artifacts": [
                    {"name": "model", "uri": "gs://bucket/model", "type": {"instanceSchema": "title: tfx.Model\n"}}
                ]
            },
            "executor-logs": {"artifacts": [{"name": "executor-logs", "uri": "gs://bucket/logs", "type": {}}]},
        },
        "outputFile": "/tmp/kfp_outputs/output_metadata.json",
    },
}


def only(message: dict, side: str, key: str) -> dict:
    (artifact,) = message[side]["artifacts"][key]["artifacts"]
    return artifact


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("gs://bucket/a/b", "/gcs/bucket/a/b"),
        ("s3://bucket/a", "/s3/bucket/a"),
        ("minio://mlpipeline/v2", "/minio/mlpipeline/v2"),
        ("/data/models/1", "/data/models/1"),
    ],
)
def test_an_address_becomes_the_folder_of_the_launchers_copy(uri, path):
    assert executor_io.local_path(uri) == path


def test_inputs_get_their_types_and_folders():
    message = executor_io.for_executor(LAUNCHER, INPUTS_SPEC)
    examples = only(message, "inputs", "examples")
    assert examples["type"] == {"instanceSchema": EXAMPLES}
    assert examples["uri"] == "/s3/bucket/root/examples"
    assert only(message, "inputs", "report")["uri"] == "/minio/bucket/report"
    assert message["inputs"]["parameterValues"] == {"keep": 2}


def test_a_type_that_was_sent_is_kept():
    """Vertex AI sends types."""
    typed = copy.deepcopy(LAUNCHER)
    only(typed, "inputs", "examples")["type"] = {"instanceSchema": "title: tfx.TransformGraph\n"}
    message = executor_io.for_executor(typed, INPUTS_SPEC)
    assert only(message, "inputs", "examples")["type"]["instanceSchema"] == "title: tfx.TransformGraph\n"


def test_the_projects_own_type_can_be_imported():
    message = executor_io.for_executor(LAUNCHER, INPUTS_SPEC)
    schema = only(message, "inputs", "report")["type"]["instanceSchema"]
    assert schema == "title: components.artifacts.IngestReport\ntype: object\n"


def test_metadata_is_unwrapped():
    metadata = only(executor_io.for_executor(LAUNCHER, INPUTS_SPEC), "inputs", "examples")["metadata"]
    assert metadata == {"span": 3.0, "splits": ["train"], "about": {"a": 1}, "own": {"list": [1], "struct": 2}}


def test_outputs_are_folders_without_the_servers_log():
    message = executor_io.for_executor(LAUNCHER, INPUTS_SPEC)
    assert set(message["outputs"]["artifacts"]) == {"model"}
    assert only(message, "outputs", "model")["uri"] == "/gcs/bucket/model"


def test_the_launchers_message_does_not_change():
    before = copy.deepcopy(LAUNCHER)
    executor_io.for_executor(LAUNCHER, INPUTS_SPEC)
    assert before == LAUNCHER


def test_the_answer_has_addresses_again_and_no_null():
    output = {
        "artifacts": {
            "model": {"artifacts": [{"uri": "/gcs/bucket/model", "metadata": {"pushed": 1.0, "nothing": None}}]}
        }
    }
    answer = executor_io.for_launcher(output, LAUNCHER)
    assert only({"outputs": answer}, "outputs", "model") == {
        "name": "model",
        "uri": "gs://bucket/model",
        "metadata": {"pushed": 1.0},
    }
