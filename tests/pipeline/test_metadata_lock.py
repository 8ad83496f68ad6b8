"""Another program locks the metadata."""

from __future__ import annotations

import contextlib
import logging
import re
import sqlite3

import pytest
from locking import locked

from pipeline import metadata_lock


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "meta?data #1.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t(x)")
    return path


@pytest.mark.parametrize("how", ["BEGIN", "BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
def test_a_lock_is_waited_for_and_the_program_that_holds_it_is_named(database, how, caplog, monkeypatch):
    monkeypatch.setattr(metadata_lock, "_POLL_SECONDS", 0.01)
    with locked(database, how) as other, caplog.at_level(logging.INFO, "regraft"):
        with pytest.raises(metadata_lock.MetadataLockedError) as raised:
            metadata_lock.wait(database, patience=0.1)
        assert re.search(
            rf"#1.sqlite: locked by \w+.* \(process {other.pid}\) for 0.1 seconds; close it", str(raised.value)
        )
        (report,) = [record.getMessage() for record in caplog.records]
        assert report.startswith("  waiting: ") and str(other.pid) in report
        other.stdin.write("\n")
        other.stdin.flush()
        metadata_lock.wait(database, patience=20)
    assert not metadata_lock.is_locked(database)


def test_a_missing_or_damaged_database_is_not_locked(tmp_path):
    assert not metadata_lock.is_locked(tmp_path / "none.sqlite")
    assert not (tmp_path / "none.sqlite").exists()
    (tmp_path / "junk.sqlite").write_bytes(b"junk" * 1000)
    assert not metadata_lock.is_locked(tmp_path / "junk.sqlite")


def test_a_wait_inside_ml_metadata_is_reported_once_a_minute(database, caplog):
    caplog.set_level(logging.INFO, "absl")
    with metadata_lock.reported(database), caplog.at_level(logging.INFO, "regraft"):
        for _ in range(3):
            logging.getLogger("absl").info("mlmd client retry in %f secs", 2.0)
        logging.getLogger("absl").info("something else")
    assert len([record for record in caplog.records if record.name == "regraft.runner"]) == 1
