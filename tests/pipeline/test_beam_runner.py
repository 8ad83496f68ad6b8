"""Beam's worker processes end with the run that started them."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import pytest

from config import interruption
from pipeline import beam_runner

SLEEP = "import time; time.sleep(60)"


def test_a_signal_ends_the_workers_for_which_beam_waits():
    worker = subprocess.Popen([sys.executable, "-c", SLEEP, beam_runner.__name__])
    other = subprocess.Popen([sys.executable, "-c", SLEEP])
    try:
        with interruption.handled(), beam_runner._ending_its_workers():
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGTERM)
            assert worker.wait(timeout=20) == -signal.SIGKILL
        assert other.poll() is None
    finally:
        worker.kill()
        other.kill()


def test_a_worker_that_is_only_being_started_is_ended_too():
    def start_and_wait():
        time.sleep(0.5)
        command = f"exec {sys.executable} -c '{SLEEP}' {beam_runner.__name__}"
        subprocess.run(command, shell=True)

    thread = threading.Thread(target=start_and_wait, name=beam_runner._WORKER_THREAD)
    with interruption.handled(), pytest.raises(KeyboardInterrupt), beam_runner._ending_its_workers():
        thread.start()
        signal.raise_signal(signal.SIGTERM)
    assert not thread.is_alive()


def test_workers_go_on_without_a_signal():
    worker = subprocess.Popen([sys.executable, "-c", SLEEP, beam_runner.__name__])
    try:
        with interruption.handled(), beam_runner._ending_its_workers():
            time.sleep(3 * beam_runner._POLL_SECONDS)
        assert worker.poll() is None
    finally:
        worker.kill()
