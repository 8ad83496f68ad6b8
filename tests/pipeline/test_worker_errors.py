"""What a person reads of an error that Beam has wrapped.

tracebacks/<runner>-<step of helpers/failing.py>.txt are messages of errors that Beam raised, with fewer frames and
other folders; flink_java is what Flink's job server logs, with Java's stack around the traceback.
"""

from __future__ import annotations

import traceback
from pathlib import Path

import failing
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from config.errors import BadInputError
from modules.backbones.weight_files import WeightFileError
from pipeline import worker_errors
from pipeline.worker_errors import Failure

CAPTURED = Path(__file__).parent / "tracebacks"
STEPS = {step.__name__: expected for step, expected in failing.EXPECTED.items()}
FROM_STEPS = sorted(file.stem for file in CAPTURED.glob("*.txt") if file.stem.partition("-")[2] in STEPS)


def captured(name: str) -> RuntimeError:
    return RuntimeError((CAPTURED / f"{name}.txt").read_text(encoding="utf-8"))


def from_worker(error: Exception) -> RuntimeError:
    """The error as a worker process passes it on."""
    try:
        raise error
    except Exception:
        return RuntimeError(traceback.format_exc())


@pytest.mark.parametrize("name", FROM_STEPS)
def test_captured_messages_are_read(name):
    message, bad_input = STEPS[name.partition("-")[2]]
    assert worker_errors.failure(captured(name)) == Failure(message, bad_input)


def test_each_runner_is_among_the_captured_messages():
    assert {name.partition("-")[0] for name in FROM_STEPS} == {"local", "flink", "flink_java", "spark"}


def test_a_cluster_that_lost_its_worker_is_reported_with_the_last_cause():
    found = worker_errors.failure(captured("spark-killed"))
    cause = "org.apache.beam.vendor.grpc.v1p60p1.io.grpc.StatusRuntimeException: CANCELLED: client cancelled"
    assert found == Failure(f"Caused by: {cause}", False)


BEAMS_RUNTIME_ERRORS = [
    ("config.errors.BadInputError: bad [while running 'Step']", "bad", True),
    ("gone.PackageError: bad [while running 'Step']", "gone.PackageError: bad", False),
    ("FileNotFoundError: [Errno 2] a.png [while running 'S']", "FileNotFoundError: [Errno 2] a.png", False),
    ("config.errors.BadInputError: no step", "RuntimeError: config.errors.BadInputError: no step", False),
]
QUOTED = f"it wrote:\n{worker_errors._TRACEBACK}  File x\nconfig.errors.BadInputError: bad"


@pytest.mark.parametrize("wrapped", [lambda error: error, from_worker], ids=["here", "in a worker"])
@pytest.mark.parametrize(
    ("error", "message", "bad_input"),
    [
        (BadInputError("a: bad [while running 'Write/Map(<lambda at x.py:3>)']"), "a: bad", True),
        (WeightFileError("w.h5: bad [while running 'Step']"), "w.h5: bad", True),
        (BadInputError("no step"), "no step", True),
        (ZeroDivisionError("by zero [while running 'Step']"), "ZeroDivisionError: by zero", False),
        (ValueError("first\nsecond\n>\n"), "second", False),
        (ValueError("in graph\n\t [[node x]] [Op:Y]"), "ValueError: in graph", False),
        (ValueError(), "ValueError", False),
        (ValueError(QUOTED), "config.errors.BadInputError: bad", False),
        *((RuntimeError(text), message, bad_input) for text, message, bad_input in BEAMS_RUNTIME_ERRORS),
    ],
)
def test_an_error_reads_the_same_wherever_it_was_raised(wrapped, error, message, bad_input):
    assert worker_errors.failure(wrapped(error)) == Failure(message, bad_input)


def test_a_worker_of_a_worker_is_read_to_the_innermost_error():
    error = from_worker(from_worker(BadInputError("photos/a.png: changed")))
    assert worker_errors.failure(error) == Failure("photos/a.png: changed", True)


def test_nothing_is_imported_for_a_message_that_begins_with_a_file_name(monkeypatch, tmp_path):
    (tmp_path / "installer.py").write_text("raise SystemExit('it was imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = worker_errors.failure(RuntimeError("installer.py: failed [while running 'Step']"))
    assert found == Failure("installer.py: failed", False)


MESSAGES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r")).filter(str.strip)


@given(MESSAGES)
def test_any_message_survives_a_worker(message):
    there = worker_errors.failure(from_worker(WeightFileError(f"{message} [while running 'Step']")))
    assert there == worker_errors.failure(WeightFileError(message)) == Failure(message.strip(), True)


def test_an_error_of_pydantic_says_what_is_wrong_and_not_where_to_read_about_pydantic():
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(int).validate_python("seven")
    assert "unable to parse string as an integer" in worker_errors.failure(raised.value).message


@given(st.text(), st.lists(MESSAGES))
def test_any_text_is_answered_with_something_to_read(text, lines):
    for error in (RuntimeError(text), RuntimeError("Traceback (most recent call last):\n" + "\n".join(lines))):
        assert worker_errors.failure(error).message
