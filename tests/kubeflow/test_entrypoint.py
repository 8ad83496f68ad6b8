"""The error and the exit code of a stage that fails in its pod."""

from __future__ import annotations

import json
import logging
import signal
import traceback

import pytest
from tfx.types import standard_artifacts

from components import artifact_files
from components.image_example_gen.quarantine import BadImagesError
from config.errors import BackboneError, BadInputError
from kubeflow import entrypoint

ARGUMENTS = ["--executor_class_path=x", "--json_serialized_invocation_args={}"]


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
