"""The error and the exit code of a stage that fails in its pod."""

from __future__ import annotations

import json
import logging
import signal
import traceback
from pathlib import Path

import pytest
from tfx.types import standard_artifacts

from components import artifact_files
from components.image_example_gen.quarantine import BadImagesError
from config.errors import BackboneError, BadInputError
from kubeflow import entrypoint

ARGUMENTS = [
    "--executor_class_path=tfx.dsl.components.base.base_executor.EmptyExecutor",
    "--json_serialized_invocation_args={}",
]


def from_worker(error: Exception) -> RuntimeError:
    try:
        raise error
    except Exception:
        return RuntimeError(traceback.format_exc())


@pytest.mark.parametrize("wrapped", [lambda error: error, from_worker], ids=["in the pod", "in a worker of Beam"])
@pytest.mark.parametrize(
    ("error", "exit_code", "line"),
    [
        (BackboneError("w.h5: bad [while running 'Trunk/Load']"), 2, "w.h5: bad"),
        (ZeroDivisionError("by zero [while running 'Step']"), 1, "ZeroDivisionError: by zero"),
    ],
)
def test_a_stage_ends_with_the_line_and_exit_code_of_its_error(monkeypatch, caplog, wrapped, error, exit_code, line):
    def failing(*_):
        raise wrapped(error)

    monkeypatch.setattr(entrypoint, "_run", failing)
    with caplog.at_level(logging.INFO, "regraft"):
        assert entrypoint.main(ARGUMENTS) == exit_code
    assert caplog.messages[-1] == line
    assert ("Traceback" in caplog.text) == (exit_code == 1)


def test_the_log_of_a_pod_lists_every_image_that_stopped_it(monkeypatch, caplog):
    """A pod's files are lost when it fails."""
    rows = [{"path": f"{index}.jpg", "reason": "truncated", "detail": "é", "thumbnail": None} for index in range(30)]

    def failing(*_):
        raise BadImagesError("30 of 30 files can't be used", rows)

    monkeypatch.setattr(entrypoint, "_run", failing)
    with caplog.at_level(logging.INFO, "regraft"):
        assert entrypoint.main(ARGUMENTS) == 2
    *listed, last = caplog.messages
    assert last == "30 of 30 files can't be used"
    assert [json.loads(line) for line in listed] == [
        {"path": f"{index}.jpg", "reason": "truncated", "detail": "é"} for index in range(30)
    ]


def test_an_input_whose_files_are_not_those_that_were_written_is_refused(tmp_path):
    artifact = standard_artifacts.Examples()
    artifact.uri = str(tmp_path)
    (tmp_path / "0.gz").write_bytes(b"0")
    (tmp_path / "1.gz").write_bytes(b"1")
    entrypoint._check_inputs({"examples": [artifact]})  # of a release that recorded nothing
    written = artifact_files.digest(artifact_files.record(tmp_path))
    artifact.set_string_custom_property("files_digest", written)
    entrypoint._check_inputs({"examples": [artifact]})
    (tmp_path / "1.gz").unlink()
    with pytest.raises(BadInputError, match=f"^examples: the files in {tmp_path} are not those that were written; .*"):
        entrypoint._check_inputs({"examples": [artifact]})


def sent(key: str, number: int, metadata: dict, uri: Path, native: bool) -> dict:
    """An input artifact as the driver gives it.

    Args:
      key: the output that made it.
      number: of the artifact.
      metadata: as the entrypoint of the stage before has written it.
      uri: its folder.
      native: whether the server keeps artifacts itself, as after version 2.17; otherwise ML Metadata does.
    """
    if native:
        own = {"name": key, "artifactId": f"id-{number}", "type": {"schemaTitle": "Artifact"}, "metadata": metadata}
    else:
        wrapped = {name: {"list": value} if isinstance(value, list) else value for name, value in metadata.items()}
        own = {"name": str(number), "type": {"instanceSchema": ""}, "metadata": {**wrapped, "display_name": key}}
    return {"artifacts": [{**own, "uri": str(uri)}]}


@pytest.mark.parametrize("native", [False, True], ids=["ML Metadata", "without it"])
def test_a_stage_gets_the_same_from_servers_with_and_without_ml_metadata(tmp_path, monkeypatch, native):
    """Two inputs come from outputs of the same name, of two stages."""
    models = {key: tmp_path / key for key in ("model", "base_model")}
    for folder in models.values():
        folder.mkdir()
    metadata = {"version": 3.0, "note": "ü", "parts": ["a", "b"], "is_external": 1.0}
    message = {
        "inputs": {
            "parameterValues": {"seed": 1},
            "artifacts": {
                key: sent("model", number, metadata, uri, native) for number, (key, uri) in enumerate(models.items(), 7)
            },
        },
        "outputs": {
            "artifacts": {
                "blessing": {
                    "artifacts": [
                        {
                            "name": "blessing",
                            "uri": str(tmp_path / "blessing"),
                            "type": {"instanceSchema": "title: tfx.ModelBlessing\ntype: object\n"},
                            **({"customPath": "", "newField": 1} if native else {}),
                        }
                    ]
                }
            },
            "outputFile": str(tmp_path / "task" / "output_metadata.json"),
        },
        **({"newField": {}} if native else {}),
    }
    model_type = {"artifactType": {"instanceSchema": "title: tfx.Model\ntype: object\n"}}
    spec = {"artifacts": dict.fromkeys(models, model_type), "parameters": {"seed": {"parameterType": "NUMBER_INTEGER"}}}

    def execute(executor_class, _folder, _beam_args, inputs, outputs, properties):
        assert executor_class.__name__ == "EmptyExecutor"
        found = {key: artifact for key, (artifact,) in inputs.items()}
        assert all(isinstance(artifact, standard_artifacts.Model) for artifact in found.values())
        assert found["model"].id != found["base_model"].id
        for artifact in found.values():
            own = {name: artifact.get_custom_property(name) for name in artifact.mlmd_artifact.custom_properties}
            assert own == metadata
        assert properties == {"seed": 1}
        (blessing,) = outputs["blessing"]
        blessing.set_int_custom_property("blessed", 1)
        blessing.set_int_custom_property("current_model_id", found["model"].id)
        blessing.set_int_custom_property("baseline_model_id", found["base_model"].id)
        Path(blessing.uri, "BLESSED").touch()

    monkeypatch.setattr(entrypoint, "_execute", execute)
    arguments = [ARGUMENTS[0], f"--json_serialized_invocation_args={json.dumps(message)}"]
    assert entrypoint.main([*arguments, f"--json_serialized_inputs_spec_args={json.dumps(spec)}"]) == 0
    written = json.loads((tmp_path / "task" / "output_metadata.json").read_text())
    (blessing,) = written["artifacts"]["blessing"]["artifacts"]
    names = ("id-7", "id-8") if native else ("7", "8")
    assert (blessing["name"], blessing["uri"]) == ("blessing", str(tmp_path / "blessing"))
    assert blessing["metadata"]["blessed"] == 1
    assert (blessing["metadata"]["current_model_id"], blessing["metadata"]["baseline_model_id"]) == names


def test_a_pod_that_is_ended_says_so_and_is_no_error_of_the_stage(monkeypatch, caplog):
    """Kubernetes sends SIGTERM; here a library turns its exception into an error."""

    def ended(*_):
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            raise BackboneError("model: can't be loaded") from None

    monkeypatch.setattr(entrypoint, "_run", ended)
    with caplog.at_level(logging.INFO, "regraft"):
        assert entrypoint.main(ARGUMENTS) == 143
    assert caplog.messages == ["the stage was ended by SIGTERM"]
