"""A signal ends a command, whatever libraries make of its exception."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys

import click
import psutil
import pytest
from click.testing import CliRunner

from config import interruption
from config.errors import BadInputError
from regraft import commands

SIGNALS = [
    (signal.SIGINT, 130, "interrupted"),
    (signal.SIGTERM, 143, "ended by SIGTERM"),
    (signal.SIGHUP, 129, "ended by SIGHUP"),
]


@pytest.fixture(autouse=True)
def signals_are_not_ignored():
    """As in a terminal; a shell that starts the tests in the background may ignore some."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in interruption.SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def swallowed(number: int) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(number)


def as_system_error(number: int) -> None:
    """As a C extension does that does not expect an exception."""
    swallowed(number)
    raise SystemError("<built-in function load> returned a result with an exception set")


def as_bad_input(number: int) -> None:
    try:
        signal.raise_signal(number)
    except KeyboardInterrupt as error:
        raise BadInputError("model: the candidate can't be loaded") from error


def as_itself(number: int) -> None:
    signal.raise_signal(number)


@pytest.mark.parametrize("library", [as_itself, as_system_error, as_bad_input])
@pytest.mark.parametrize(("number", "code", "message"), SIGNALS)
def test_a_command_ends_by_a_signal_and_never_with_an_error_of_the_data(monkeypatch, library, number, code, message):
    monkeypatch.setitem(commands.main.commands, "load", click.Command("load", callback=lambda: library(number)))
    result = CliRunner().invoke(commands.main, ["load"])
    assert (result.exit_code, result.stderr) == (code, f"{message}\n")
    assert interruption.received() is None, "the next command starts afresh"


def test_a_signal_whose_exception_was_swallowed_is_found_later():
    with interruption.handled():
        interruption.check()
        swallowed(signal.SIGTERM)
        with pytest.raises(interruption.Interruption):
            interruption.check()


def test_an_error_that_an_interruption_led_to_is_one_even_where_no_handler_is_installed():
    def chained(hidden: bool) -> Exception:
        try:
            try:
                raise KeyboardInterrupt
            except KeyboardInterrupt as error:
                raise ImportError("numpy.core.multiarray failed to import") from None if hidden else error
        except ImportError as error:
            return error

    with pytest.raises(interruption.Interruption):
        interruption.check(chained(hidden=False))
    interruption.check(chained(hidden=True))
    interruption.check(BadInputError("a real one"))


def test_the_second_signal_of_timeout_or_a_shell_does_not_end_the_cleaning_up():
    with interruption.handled():
        swallowed(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGHUP)
        assert interruption.received() == signal.SIGTERM


def test_an_ignored_signal_stays_ignored():
    """`nohup` ignores SIGHUP."""
    program = (
        "import os, signal\nfrom config import interruption\nwith interruption.handled():\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n    print(interruption.received())"
    )
    done = subprocess.run(["nohup", sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "None\n"


def test_handlers_are_restored():
    with interruption.handled(), interruption.handled():
        pass
    assert {signal.getsignal(number) for number in interruption.SIGNALS} == {signal.SIG_DFL}


STARTS_A_CHILD = """
import subprocess, sys
child = '''
import os, time
from config import interruption
interruption.end_with_parent()
print(os.getpid(), flush=True)
time.sleep(60)
'''
subprocess.run([sys.executable, "-c", child])
"""


def test_a_child_ends_when_its_parent_is_killed():
    with subprocess.Popen([sys.executable, "-c", STARTS_A_CHILD], stdout=subprocess.PIPE, text=True) as parent:
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    psutil.wait_procs([child], timeout=20)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
