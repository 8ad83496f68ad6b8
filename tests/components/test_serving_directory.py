import multiprocessing
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from components import serving_directory
from components.serving_directory import ServingDirectory, model_fingerprint


def model(folder: Path, content: str) -> Path:
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_text(content)
    (folder / "variables" / "variables.index").write_text("index")
    return folder


@pytest.fixture
def directory(tmp_path) -> ServingDirectory:
    return ServingDirectory(tmp_path / "serving")


def push(directory: ServingDirectory, source: Path) -> int:
    return directory.push(source, {"note": source.name})


def test_versions_count_up_and_hold_the_whole_model(directory, tmp_path):
    first, second = model(tmp_path / "a", "a"), model(tmp_path / "b", "b")
    assert (directory.versions(), directory.next_version()) == ([], 1)
    assert [push(directory, first), push(directory, second)] == [1, 2]
    assert directory.versions() == [1, 2]
    assert (directory.path / "2/variables/variables.index").read_text() == "index"
    assert model_fingerprint(directory.path / "2") == model_fingerprint(second) != model_fingerprint(first)
    assert directory.manifest(2) == {"version": 2, "fingerprint": model_fingerprint(second), "note": "b"}


def test_a_version_number_is_never_used_again(directory, tmp_path):
    for name in "ab":
        push(directory, model(tmp_path / name, name))
    shutil.rmtree(directory.path / "2")
    assert directory.next_version() == 3


def test_the_baseline_is_the_newest_version_that_is_not_the_candidate(directory, tmp_path):
    first, second = model(tmp_path / "a", "a"), model(tmp_path / "b", "b")
    assert directory.baseline(model_fingerprint(first)) is None
    push(directory, first)
    assert directory.baseline(model_fingerprint(first)) is None
    assert directory.baseline(model_fingerprint(second)) == 1
    push(directory, second)
    assert directory.baseline(model_fingerprint(second)) == 1
    assert directory.baseline(model_fingerprint(first)) == 2, "an older version again is a candidate like any other"
    assert directory.standing(model_fingerprint(first)) is None
    assert directory.standing(model_fingerprint(second)) == 2


def test_versions_that_others_put_there_count_and_other_names_do_not(directory):
    model(directory.path / "7", "foreign")
    for name in ("tmp", "8.partial", "-9"):
        (directory.path / name).mkdir()
    (directory.path / "10").write_text("a file")
    assert directory.versions() == [7]
    assert directory.manifest(7) == {}
    assert directory.next_version() == 8


def test_the_identity_lasts_as_long_as_the_folder(directory):
    identity = directory.identity()
    assert ServingDirectory(directory.path).identity() == identity
    shutil.rmtree(directory.path)
    assert directory.identity() != identity


def test_a_push_that_fails_leaves_no_version(directory, tmp_path, monkeypatch):
    source = model(tmp_path / "a", "a")

    def disk_full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(serving_directory.os, "fsync", disk_full)
    directory.path.mkdir()
    (directory.path / ".regraft.json").write_text('{"identity": "x"}')
    with pytest.raises(OSError, match="No space left"):
        push(directory, source)
    assert directory.versions() == []


def _push_slowly(path: Path, source: Path) -> None:
    copy = shutil.copytree

    def slow(*arguments, **options):
        copy(*arguments, **options)
        time.sleep(60)

    serving_directory.shutil.copytree = slow
    push(ServingDirectory(path), source)


def test_a_push_that_is_killed_leaves_no_version_and_does_not_hinder_the_next(directory, tmp_path):
    source = model(tmp_path / "a", "a")
    process = multiprocessing.get_context("fork").Process(target=_push_slowly, args=(directory.path, source))
    process.start()
    half_written = directory.path / ".pushing" / "variables" / "variables.index"
    deadline = time.monotonic() + 30
    while not half_written.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert directory.versions() == []
    assert push(directory, source) == 1
    assert not half_written.exists()


def _push_many(path: Path, source: Path) -> None:
    for _ in range(5):
        push(ServingDirectory(path), source)


def test_two_pushing_at_once_do_not_clobber_each_other(directory, tmp_path):
    context = multiprocessing.get_context("fork")
    sources = [model(tmp_path / name, name) for name in "ab"]
    processes = [context.Process(target=_push_many, args=(directory.path, source)) for source in sources]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert directory.versions() == list(range(1, 11))
    fingerprints = [directory.manifest(version)["fingerprint"] for version in directory.versions()]
    assert all(model_fingerprint(directory.path / str(v)) == f for v, f in enumerate(fingerprints, 1))
    assert sorted(map(fingerprints.count, set(fingerprints))) == [5, 5]
