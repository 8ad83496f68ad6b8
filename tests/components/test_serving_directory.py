import datetime
import json
import multiprocessing
import os
import re
import shutil
import signal
import time
from pathlib import Path

import pytest
from waiting import becomes_true

from components import serving_directory, version_files
from components.serving_directory import ServingDirectory, ServingError, model_fingerprint
from modules.exporting import export_files


def model(folder: Path, content: str) -> Path:
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_text(content)
    (folder / "variables" / "variables.index").write_text("index")
    (folder / "variables" / "variables.data-00000-of-00001").write_text("data")
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
    manifest = directory.manifest(2)
    age = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(manifest.pop("pushed_at"))
    assert datetime.timedelta(seconds=-1) < age < datetime.timedelta(minutes=1)
    assert manifest == {"version": 2, "fingerprint": model_fingerprint(second), "note": "b"}


def test_files_made_of_the_manifest_appear_with_the_version_and_stay_with_its_copies(directory, tmp_path):
    def card(manifest):
        return {version_files.CARD: f"version {manifest['version']} of {manifest['pushed_at'][:2]}"}

    first, second = model(tmp_path / "a", "a"), model(tmp_path / "b", "b")
    directory.push(first, {}, more_files=card)
    push(directory, second)
    directory.promote(1)
    assert [(directory.path / f"{n}" / version_files.CARD).read_text() for n in (1, 3)] == ["version 1 of 20"] * 2
    assert directory.damage(1) is directory.damage(3) is None
    assert directory.current_version_of(model_fingerprint(first)) == 3, "the card is no part of a model's identity"


def exports(folder: Path, content: str = "model") -> tuple[Path, dict]:
    """A folder of exports, and what the manifest says of them."""
    folder.mkdir()
    (folder / "model.tflite").write_text(content)
    export_files.write_index(folder, ["litert"], {"classes": ["cyan", "magenta"]})
    return folder, {"exports": export_files.read_index(folder)["formats"]}


def test_exports_appear_with_the_version_and_stay_with_its_copies(directory, tmp_path):
    first, second = model(tmp_path / "a", "a"), model(tmp_path / "b", "b")
    files, manifest = exports(tmp_path / "exports")
    directory.push(first, manifest, exports=files)
    push(directory, second)
    assert directory.roll_back() == (2, 3)
    for version in (1, 3):
        folder = directory.path / str(version) / version_files.EXPORTS
        assert (folder / "model.tflite").read_text() == "model"
        assert (folder / "labels.txt").read_text() == "cyan\nmagenta\n"
        assert directory.manifest(version)["exports"].keys() == {"litert"}
        assert directory.damage(version) is None
    assert directory.current_version_of(model_fingerprint(first)) == 3, "exports are no part of a model's identity"
    (directory.path / "3" / version_files.EXPORTS / "model.tflite").write_text("other")
    assert directory.damage(3) == "assets.extra/exports/model.tflite is not the file that was pushed"


def test_a_version_whose_files_cannot_be_made_is_not_pushed(directory, tmp_path):
    with pytest.raises(KeyError):
        directory.push(model(tmp_path / "a", "a"), {}, more_files=lambda manifest: manifest["no such field"])
    assert directory.versions() == [] and not (directory.path / ".pushing").exists()


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
    assert directory.baseline(model_fingerprint(first)) == 2, "an older version is a candidate like any other"
    assert directory.current_version_of(model_fingerprint(first)) is None
    assert directory.current_version_of(model_fingerprint(second)) == 2


def test_a_rollback_makes_an_earlier_model_current_under_a_new_number(directory, tmp_path):
    models = {name: model(tmp_path / name, name) for name in "abc"}
    for source in models.values():
        push(directory, source)
    assert directory.roll_back() == (3, 4)
    assert model_fingerprint(directory.path / "4") == model_fingerprint(models["b"])
    assert (directory.manifest(4)["rolled_back_from"], directory.manifest(4)["note"]) == (3, "b")
    assert directory.rolled_back_version_of(model_fingerprint(models["c"])) == 3
    assert directory.current_version_of(model_fingerprint(models["b"])) == 4
    assert directory.baseline(model_fingerprint(models["b"])) == 1, (
        "a candidate is never compared with a version that was rolled back"
    )
    assert directory.baseline("another") == 4
    assert directory.roll_back(to=1) == (4, 5)
    assert directory.baseline("another") == 5
    assert model_fingerprint(directory.path / "5") == model_fingerprint(models["a"])
    assert [directory.rolled_back_version_of(model_fingerprint(models[name])) for name in "abc"] == [None, 4, 3]
    assert directory.promote(3) == 6
    assert directory.rolled_back_version_of(model_fingerprint(models["c"])) is None
    assert directory.manifest(6)["promoted_from"] == str(directory.path / "3")
    assert push(directory, model(tmp_path / "d", "d")) == 7


@pytest.mark.parametrize(
    ("pushed", "to", "message"),
    [
        ("", None, "this folder has no versions; push one first"),
        ("a", None, "there is no model before version 1 that was not rolled back itself"),
        ("aa", None, "there is no model before version 2 that was not rolled back itself"),
        ("ab", 3, r"the versions in this folder are 1, 2\. Received: 3"),
        ("aba", 1, "version 1 has the same model as the current version 3"),
    ],
)
def test_a_rollback_without_another_model_is_refused(directory, tmp_path, pushed, to, message):
    directory.identity()
    for number, name in enumerate(pushed):
        push(directory, model(tmp_path / str(number), name))
    with pytest.raises(ServingError, match=message):
        directory.roll_back(to)
    assert len(directory.versions()) == len(pushed)


def test_a_second_rollback_goes_further_back_and_never_to_a_version_that_was_rolled_back(directory, tmp_path):
    sources = [model(tmp_path / name, name) for name in "abc"]
    for source in sources:
        push(directory, source)
    assert directory.roll_back() == (3, 4)
    assert directory.roll_back() == (4, 5)
    assert model_fingerprint(directory.path / "5") == model_fingerprint(sources[0])
    with pytest.raises(ServingError, match="that was not rolled back itself; name a version with --to"):
        directory.roll_back()
    assert directory.roll_back(to=3) == (5, 6)
    assert directory.rolled_back_version_of(model_fingerprint(sources[2])) is None


@pytest.mark.parametrize("harm", ["no graph", "another graph"])
def test_a_damaged_version_is_never_made_current_and_can_be_replaced(directory, tmp_path, harm):
    sources = {name: model(tmp_path / name, name) for name in "ab"}
    for name in "aba":
        push(directory, sources[name])
    graph = directory.path / "3" / "saved_model.pb"
    graph.unlink() if harm == "no graph" else graph.write_text("junk")
    damage = "it has no saved_model.pb" if harm == "no graph" else "its files are not the ones that were pushed"
    assert directory.damage(3) == damage
    assert directory.damage(1) is None
    for attempt in (
        lambda: directory.promote(3),
        lambda: ServingDirectory(tmp_path / "other").promote(3, directory),
        lambda: directory.roll_back(to=3),
    ):
        with pytest.raises(ServingError, match=f"/3: this version cannot be made current, because {damage}"):
            attempt()
    assert not (tmp_path / "other").exists()
    with pytest.raises(
        ServingError, match=r"this version is in production, but .*`regraft versions promote \S+/serving VERSION`"
    ):
        directory.check_in_production(3)
    assert directory.promote(1) == 4, "an intact copy of the same model"
    directory.check_in_production(4)


def test_a_file_is_no_folder_to_promote_into(directory, tmp_path):
    push(directory, model(tmp_path / "a", "a"))
    (tmp_path / "file").touch()
    with pytest.raises(ServingError, match="file: this is a file; name a folder"):
        ServingDirectory(tmp_path / "file").promote(1, directory)


def test_a_version_is_promoted_from_one_folder_into_another(directory, tmp_path):
    push(directory, model(tmp_path / "a", "a"))
    production = ServingDirectory(tmp_path / "production")
    push(production, model(tmp_path / "b", "b"))
    assert production.promote(1, directory) == 2
    assert production.manifest(2)["promoted_from"] == str(directory.path / "1")
    assert production.fingerprint(2) == directory.fingerprint(1)
    with pytest.raises(ServingError, match="the current version 2 has this model already"):
        production.promote(1, directory)
    with pytest.raises(ServingError, match=r"the versions in this folder are 1\. Received: 9"):
        production.promote(9, directory)
    assert production.versions() == [1, 2]


def test_only_the_newest_versions_are_kept(directory, tmp_path):
    for number in range(5):
        directory.push(model(tmp_path / str(number), str(number)), {}, keep=None if number < 3 else 2)
        assert directory.versions() == ([1], [1, 2], [1, 2, 3], [3, 4], [4, 5])[number]
    assert {path.name for path in directory.path.iterdir()} == {"4", "5", ".regraft.json", ".lock"}
    assert directory.next_version() == 6


def test_folders_of_older_releases_are_read(directory, tmp_path):
    source = model(directory.path / "3", "a")
    newest = model(directory.path / "4", "b")
    about = {"version": 3, "fingerprint": model_fingerprint(source), "pushed_at": "2025-01-01T00:00:00+00:00"}
    (source / "assets.extra").mkdir()
    (source / "assets.extra" / "regraft.json").write_text(json.dumps({**about, "package_version": "0.2.0"}))
    state = {"identity": "x", "last_version": 9, "withdrawn": {model_fingerprint(newest): 2}}
    (directory.path / ".regraft.json").write_text(json.dumps(state))
    assert (directory.identity(), directory.next_version()) == ("x", 10)
    assert directory.rolled_back_version_of(model_fingerprint(newest)) == 2
    assert directory.baseline("another") == 3
    assert directory.manifest(3)["package_version"] == "0.2.0"
    assert push(directory, model(tmp_path / "c", "c")) == 10
    assert json.loads((directory.path / ".regraft.json").read_text()) == {**state, "last_version": 10}


def test_versions_of_other_programs_keep_their_names_and_other_names_do_not_count(directory, tmp_path):
    foreign = model(directory.path / "00000123", "foreign")
    model(directory.path / "７", "digits of another script")
    for name in ("tmp", "124.partial", "-9", "99999999999999999999", "1_000", "0x7f", "12.5", "1e3", "", ".pushing/8"):
        (directory.path / name).mkdir(parents=True, exist_ok=True)
    assert (directory.versions(), directory.next_version()) == ([123], 124)
    assert (directory.manifest(123), directory.damage(123)) == ({}, None)
    assert (directory.baseline("another"), directory.folder(123)) == (123, foreign)
    directory.check_names()
    assert push(directory, model(tmp_path / "b", "b")) == 124
    assert directory.roll_back() == (124, 125), "back to the padded version"
    assert model_fingerprint(directory.path / "125") == model_fingerprint(foreign)
    assert directory.promote(124) == 126
    assert directory.promote(123) == 127
    assert directory.manifest(127)["promoted_from"] == str(foreign)
    with pytest.raises(ServingError, match=r"are 00000123, 124, 125, 126, 127\. Received: 7"):
        directory.promote(7)
    (foreign / "saved_model.pb").unlink()
    with pytest.raises(ServingError, match="/00000123: this version cannot be made current, because it has no saved_m"):
        directory.promote(123)


def test_a_padded_version_is_removed_like_others_and_a_link_loses_only_itself(directory, tmp_path):
    elsewhere = model(tmp_path / "elsewhere", "linked")
    model(directory.path / "000", "foreign")
    (directory.path / "01").symlink_to(elsewhere)
    assert (directory.versions(), directory.damage(1)) == ([0, 1], None)
    for number in range(2):
        directory.push(model(tmp_path / str(number), str(number)), {}, keep=2)
    assert directory.versions() == [2, 3]
    assert {path.name for path in directory.path.iterdir()} == {"2", "3", ".regraft.json", ".lock"}
    assert (elsewhere / "saved_model.pb").read_text() == "linked"


def test_a_version_whose_variables_are_a_link_is_the_model_with_these_variables(directory, tmp_path):
    store = model(tmp_path / "store", "a")
    for number, content in (("01", "index"), ("02", "other weights")):
        (directory.path / number).mkdir(parents=True)
        (directory.path / number / "saved_model.pb").write_text("a")
        (tmp_path / content).mkdir()
        (tmp_path / content / "variables.index").write_text(content)
        (tmp_path / content / "variables.data-00000-of-00001").write_text("data")
        (directory.path / number / "variables").symlink_to(tmp_path / content)
    assert directory.fingerprint(1) == model_fingerprint(store) != directory.fingerprint(2)
    assert directory.roll_back() == (2, 3)
    assert directory.damage(3) is None and not (directory.path / "3/variables").is_symlink()


@pytest.mark.parametrize("name", ["10", " 10", "+10", "010"])
def test_a_name_that_tf_serving_takes_for_a_newer_version_is_not_overlooked(directory, tmp_path, name):
    push(directory, model(tmp_path / "a", "a"))
    if name in ("10", "010"):
        (directory.path / name).write_text("a file")
    else:
        model(directory.path / name, "b")
    assert (directory.versions(), directory.next_version()) == ([1], 11)
    with pytest.raises(ServingError, match=re.escape(f"TF Serving reads the name {name!r} as version 10, but")):
        directory.check_names()
    assert push(directory, model(tmp_path / "c", "c")) == 11, "newer than what TF Serving sees"
    directory.check_names()


def test_two_names_for_one_version_are_refused_and_read_as_tf_serving_reads_them(directory):
    model(directory.path / "123", "last by bytes")
    model(directory.path / "00123", "first by bytes")
    assert (directory.versions(), directory.folder(123).name) == ([123], "123")
    with pytest.raises(ServingError, match="reads the names '00123' and '123' as version 123; keep one of them"):
        directory.check_names()


def test_a_name_that_only_tf_serving_takes_for_a_version_is_refused_where_there_is_no_other(directory):
    model(directory.path / "+5", "served")
    with pytest.raises(ServingError, match="TF Serving reads the name '\\+5' as version 5, but"):
        directory.check_names()


def test_a_folder_whose_numbers_are_used_up_is_refused(directory, tmp_path):
    model(directory.path / str(2**63 - 1), "a")
    with pytest.raises(ServingError, match="no version can follow 9223372036854775807"):
        directory.check_names()
    with pytest.raises(ServingError, match="no version can follow 9223372036854775807; remove or rename"):
        push(directory, model(tmp_path / "b", "b"))
    assert not (directory.path / ".pushing").exists()


@pytest.mark.parametrize("content", ["", "[]", '{"version": 1, '])
def test_a_file_of_regraft_that_is_damaged_is_named(directory, tmp_path, content):
    push(directory, model(tmp_path / "a", "a"))
    (directory.path / "1" / serving_directory.MANIFEST).write_text(content)
    assert directory.damage(1) == "assets.extra/regraft.json is not a JSON object"
    (directory.path / ".regraft.json").write_text(content)
    with pytest.raises(ServingError, match=r"\.regraft\.json: this file is damaged, it is not a JSON object; restore"):
        directory.next_version()


@pytest.mark.parametrize("lost", ["variables.index", "variables.data-00000-of-00002", "variables.data-00001-of-00002"])
def test_a_version_of_another_program_that_lost_variables_is_damaged(directory, lost):
    folder = model(directory.path / "7", "a") / "variables"
    (folder / "variables.data-00000-of-00001").unlink()
    for number in range(2):
        (folder / f"variables.data-0000{number}-of-00002").write_bytes(b"x")
    assert directory.damage(7) is None
    (folder / lost).unlink()
    assert directory.damage(7) == f"it has no variables/{lost}"


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
    assert {path.name for path in directory.path.iterdir()} == {".regraft.json", ".lock"}, "the disk is still full"


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
    assert becomes_true(half_written.exists, seconds=30, every=0.01)
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


def test_what_a_killed_push_left_is_removed(tmp_path):
    for name in (".pushing", ".removing", "1"):
        (tmp_path / name).mkdir()
    ServingDirectory(tmp_path).remove_incomplete()
    assert {path.name for path in tmp_path.iterdir()} == {"1", ".lock"}
    ServingDirectory(tmp_path / "missing").remove_incomplete()
    assert not (tmp_path / "missing").exists()
