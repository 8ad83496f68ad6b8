"""Messages of the launcher, translated for TFX, and back."""

from __future__ import annotations

import copy

import pytest
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

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


def without_ml_metadata() -> dict:
    """The same from a server without ML Metadata: names of outputs, ids, titles that are no types, plain properties."""
    message = copy.deepcopy(LAUNCHER)
    sent = only(message, "inputs", "examples")
    metadata = {"span": 3.0, "splits": ["train"], "about": {"a": 1}, "own": {"list": [1], "struct": 2}}
    sent |= {"name": "examples", "artifactId": "6f1d", "type": {"schemaTitle": EXAMPLES}}
    sent["metadata"] = {**metadata, "_kfp_workspace": True}
    only(message, "inputs", "report").update(name="report", artifactId="7a2e", type={"schemaTitle": "Artifact"})
    del only(message, "outputs", "model")["name"]
    message["outputs"]["outputFile"] = "/s3/bucket/root/task/output_metadata.json"
    return message


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


def test_a_server_without_ml_metadata_gives_the_same_inputs():
    """Only the name, which TFX takes for the id, is another one."""
    found = executor_io.for_executor(without_ml_metadata(), INPUTS_SPEC)["inputs"]["artifacts"]
    expected = executor_io.for_executor(LAUNCHER, INPUTS_SPEC)["inputs"]["artifacts"]
    names = {key: several["artifacts"][0].pop("name") for key, several in found.items()}
    assert names == {"examples": "6f1d", "report": "7a2e"}
    for several in expected.values():
        del several["artifacts"][0]["name"]
    assert found == expected


def test_what_this_sdk_does_not_know_of_artifacts_is_left_out():
    message = executor_io.for_executor(without_ml_metadata(), INPUTS_SPEC)
    json_format.ParseDict(message["inputs"], pipeline_spec_pb2.ExecutorInput.Inputs())  # refuses unknown fields


@pytest.mark.parametrize("value", [{"list": 1}, {"struct": [1]}, {"list": {"a": 1}}, {"other": [1]}, {}])
def test_what_ml_metadata_has_not_wrapped_is_kept(value):
    message = copy.deepcopy(LAUNCHER)
    only(message, "inputs", "examples")["metadata"] = {"own": value}
    assert only(executor_io.for_executor(message, INPUTS_SPEC), "inputs", "examples")["metadata"] == {"own": value}


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
