"""The error and the exit code of a stage that fails in its pod."""

from __future__ import annotations

import logging
import os
import signal
import time
import traceback

import pytest

from config.errors import BackboneError
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


def test_a_pod_that_is_ended_says_so_and_is_no_error_of_the_stage(monkeypatch, caplog):
    """Kubernetes sends SIGTERM; here a library turns its exception into an error."""

    def ended(*_):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
        except KeyboardInterrupt:
            raise BackboneError("model: can't be loaded") from None

    monkeypatch.setattr(entrypoint, "_run", ended)
    with caplog.at_level(logging.INFO, "regraft"):
        assert entrypoint.main(ARGUMENTS) == 143
    assert caplog.messages == ["the stage was ended by SIGTERM"]
