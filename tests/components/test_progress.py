"""The progress of a stage, from the files of its workers."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

from components import progress
from components.progress import Done, Tally


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_workers_are_added_up():
    """Of 1,000 images; the second worker started five seconds later."""
    line = progress.describe([Done(200, 0.2, 10.0), Done(50, 0.05, 5.0)], "written")
    assert line == "250 images written (25%), 30 images/s, 25 s left"


@pytest.mark.parametrize(("images", "rate"), [(26_512, "2,651"), (124, "12"), (33, "3.3"), (1, "0.1")])
def test_a_rate_has_two_digits_or_is_whole(images, rate):
    assert f" {rate} images/s" in progress.describe([Done(images, 0.5, 10.0)], "written")


def test_the_line_is_empty_before_any_image_is_done():
    assert progress.describe([], "written") == ""
    assert progress.describe([Done(0, 0.0, 3.0)], "written") == ""


def test_repeated_work_does_not_exceed_100_percent():
    assert progress.describe([Done(120, 1.2, 10.0)], "written") == "120 images written (100%), 12 images/s, 0 s left"


def test_a_tally_is_written_every_two_seconds(tmp_path, clock):
    tally = Tally(str(tmp_path), 100)
    for _ in range(3):
        clock[0] += 0.9
        tally.add(2, 5)
    (file,) = tmp_path.iterdir()
    assert progress.read(str(tmp_path)) == [Done(6, 0.15, pytest.approx(2.7))]
    clock[0] += 0.9
    tally.add(2, 5)
    assert progress.read(str(tmp_path))[0].images == 6  # two seconds have not passed
    assert list(tmp_path.iterdir()) == [file]


def test_threads_of_a_process_share_a_tally(tmp_path):
    assert Tally.of(str(tmp_path / "one"), 1) is Tally.of(str(tmp_path / "one"), 1)
    assert Tally.of(str(tmp_path / "one"), 1) is not Tally.of(str(tmp_path / "other"), 1)


def test_a_stage_logs_the_progress_of_all_workers_and_removes_the_files(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(progress, "_LOG_SECONDS", 0.05)
    monkeypatch.setattr(progress, "_WRITE_SECONDS", 0.0)
    folder = tmp_path / "progress"
    with (
        caplog.at_level(logging.INFO, "regraft.test"),
        progress.follow(str(folder), "written", logging.getLogger("regraft.test")),
    ):
        for _ in range(2):  # two processes
            Tally(str(folder), 10).add(3, 3)
        _until(lambda: "6 images written (60%)" in caplog.text)
        time.sleep(0.2)
    assert caplog.text.count("6 images written (60%)") == 1  # it is not logged again without a change
    assert not folder.exists()


def test_files_are_removed_if_the_stage_fails(tmp_path):
    folder = tmp_path / "progress"
    with pytest.raises(RuntimeError), progress.follow(str(folder), "written", logging.getLogger("regraft.test")):
        raise RuntimeError
    assert not Path(folder).exists()


def _until(holds) -> None:
    end = time.time() + 30
    while not holds() and time.time() < end:
        time.sleep(0.01)
    assert holds()
