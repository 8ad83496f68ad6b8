"""Beam works in this process or in worker processes, which end with the run that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import apache_beam as beam
import pytest

from config import interruption
from config.beam import BeamConfig
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


def processes(workers: int | None) -> tuple[int, int]:
    """Runs a pipeline by the section's arguments: in how many processes besides this one, and in this one."""
    seen: list[int] = []
    with tempfile.TemporaryDirectory() as folder:
        with beam.Pipeline(argv=list(BeamConfig(workers=workers).arguments())) as pipeline:
            numbers = pipeline | beam.Create(range(64)) | beam.Reshuffle()
            numbers | beam.Map(lambda _: os.getpid()) | beam.Distinct() | beam.io.WriteToText(f"{folder}/pids")
        for file in Path(folder).iterdir():
            seen += map(int, file.read_text().split())
    return len(set(seen) - {os.getpid()}), len(set(seen) & {os.getpid()})


def test_beam_runs_in_the_process_by_default():
    assert processes(None) == (0, 1)
    assert processes(1) == (0, 1)


@pytest.mark.slow
def test_several_local_workers_are_processes():
    others, own = processes(2)
    assert own == 0
    assert 1 <= others <= 2
