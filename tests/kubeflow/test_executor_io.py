"""What the launcher says, as TFX can read it, and back."""

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
def test_an_address_is_the_folder_that_the_launcher_copies_it_to(uri, path):
    assert executor_io.local_path(uri) == path


def test_inputs_get_their_types_and_folders():
    message = executor_io.for_executor(LAUNCHER, INPUTS_SPEC)
    examples = only(message, "inputs", "examples")
    assert examples["type"] == {"instanceSchema": EXAMPLES}
    assert examples["uri"] == "/s3/bucket/root/examples"
    assert only(message, "inputs", "report")["uri"] == "/minio/bucket/report"
    assert message["inputs"]["parameterValues"] == {"keep": 2}


def test_a_type_that_came_along_is_kept():
    """Vertex AI sends them."""
    typed = copy.deepcopy(LAUNCHER)
    only(typed, "inputs", "examples")["type"] = {"instanceSchema": "title: tfx.TransformGraph\n"}
    message = executor_io.for_executor(typed, INPUTS_SPEC)
    assert only(message, "inputs", "examples")["type"]["instanceSchema"] == "title: tfx.TransformGraph\n"


def test_the_projects_own_type_can_be_imported():
    message = executor_io.for_executor(LAUNCHER, INPUTS_SPEC)
    schema = only(message, "inputs", "report")["type"]["instanceSchema"]
    assert schema == "title: components.artifacts.IngestReport\ntype: object\n"


def test_metadata_is_as_the_producer_wrote_it():
    metadata = only(executor_io.for_executor(LAUNCHER, INPUTS_SPEC), "inputs", "examples")["metadata"]
    assert metadata == {"span": 3.0, "splits": ["train"], "about": {"a": 1}, "own": {"list": [1], "struct": 2}}


def test_outputs_are_folders_and_the_servers_log_is_none():
    message = executor_io.for_executor(LAUNCHER, INPUTS_SPEC)
    assert set(message["outputs"]["artifacts"]) == {"model"}
    assert only(message, "outputs", "model")["uri"] == "/gcs/bucket/model"


def test_the_launchers_message_is_left_alone():
    before = copy.deepcopy(LAUNCHER)
    executor_io.for_executor(LAUNCHER, INPUTS_SPEC)
    assert before == LAUNCHER


def test_an_answer_names_addresses_again_and_has_no_null():
    said = {
        "artifacts": {
            "model": {"artifacts": [{"uri": "/gcs/bucket/model", "metadata": {"pushed": 1.0, "nothing": None}}]}
        }
    }
    answer = executor_io.for_launcher(said, LAUNCHER)
    assert only({"outputs": answer}, "outputs", "model") == {
        "name": "model",
        "uri": "gs://bucket/model",
        "metadata": {"pushed": 1.0},
    }
