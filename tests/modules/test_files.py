import os
from pathlib import Path

import pytest

from config.errors import BadInputError
from modules.files import atomic_write, check_output, check_output_folder, fingerprint, is_special, link_without_pattern


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize(("content", "written"), [("é\n", "é\n".encode()), (b"\xff\0", b"\xff\0")])
def test_a_file_is_written_whole_with_its_folder(tmp_path, content, written, durable):
    path = tmp_path / "new" / "folder" / "file"
    atomic_write(path, content, durable=durable)
    atomic_write(str(path), content, durable=durable)
    assert path.read_bytes() == written
    assert [file.name for file in path.parent.iterdir()] == ["file"], "no temporary file is left"


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file"
    atomic_write(path, "old")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        atomic_write(path, "new", durable=True)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_names_the_file_and_not_the_temporary_one(tmp_path, monkeypatch):
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError) as error:
        atomic_write(tmp_path / "folder", "content")
    assert error.value.filename == str(tmp_path / "folder")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(PermissionError) as error:
        atomic_write(tmp_path / "file", "content")
    assert (error.value.filename, error.value.strerror) == (str(tmp_path / "file"), "Permission denied")
    (tmp_path / "no folder").touch()
    with pytest.raises(NotADirectoryError, match="the folder cannot be made") as error:
        atomic_write(tmp_path / "no folder" / "file", "content")
    assert error.value.filename == str(tmp_path / "no folder")


def refuse(path: Path, *_: object, **__: object) -> None:
    raise PermissionError(13, "Permission denied", str(path))


def test_an_output_that_can_be_written_is_left_as_it_is(tmp_path):
    check_output("--json", tmp_path / "new" / "folder" / "file")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("mine")
    check_output("--json", tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine" and len(list(tmp_path.iterdir())) == 1
    check_output("--json", "gs://bucket/file")


def test_an_output_that_cannot_be_written_is_named_with_its_option(tmp_path, monkeypatch):
    with pytest.raises(BadInputError, match=rf"^--json: {tmp_path}: Is a directory$"):
        check_output("--json", tmp_path)
    with pytest.raises(
        BadInputError, match=r"^--json: /proc/x: the folder cannot be made \(No such file or directory\)$"
    ):
        check_output("--json", "/proc/x/file")
    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(BadInputError, match=rf"^--json: {tmp_path}/file: Permission denied$"):
        check_output("--json", tmp_path / "file")


def test_a_folder_for_outputs_is_tried_and_left_as_it_is(tmp_path):
    check_output_folder("push.directory", tmp_path / "new" / "folder")
    check_output_folder("push.directory", tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(BadInputError, match=r"^push.directory: /proc/x: the folder cannot be made"):
        check_output_folder("push.directory", "/proc/x")


def test_a_full_disk_is_no_fault_of_the_option(tmp_path, monkeypatch):
    def fill(path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "touch", fill)
    with pytest.raises(OSError, match="No space left"):
        check_output("--json", tmp_path / "file")


def test_a_uri_goes_through_tensorflow(tmp_path):
    atomic_write(f"file://{tmp_path}/folder/file", "content")
    assert (tmp_path / "folder" / "file").read_text() == "content"
    assert [file.name for file in (tmp_path / "folder").iterdir()] == ["file"]


def test_a_fingerprint_is_of_names_and_bytes(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        (folder / "sub").mkdir(parents=True)
        (folder / "a").write_text("x")
        (folder / "sub" / "b").write_text("y")
    assert fingerprint(one) == fingerprint(str(other))
    assert fingerprint(one / "a") != fingerprint(one / "sub" / "b")
    without = fingerprint(one, without={(one / "a").relative_to(one)})
    (one / "a").write_text("z")
    assert fingerprint(one) != fingerprint(other)
    assert fingerprint(one, without={(one / "a").relative_to(one)}) == without
    (other / "a").rename(other / "c")
    assert fingerprint(other) != fingerprint(one)


@pytest.mark.parametrize("name", ["a[1]", "a*", "a?", "a\\b"])
def test_a_folder_whose_name_is_a_pattern_has_a_link_for_tensorflow(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "file").write_text("x")
    with link_without_pattern(tmp_path / name) as path:
        assert not set(path) & set("[*?\\")
        assert os.listdir(path) == ["file"]
    assert not os.path.lexists(path)
    with link_without_pattern(tmp_path) as path:
        assert path == str(tmp_path)


def test_a_pipe_is_written_to_and_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        check_output("--json", pipe)
        atomic_write(pipe, "found")
        assert os.read(reader, 100) == b"found" and pipe.is_fifo()
    finally:
        os.close(reader)


@pytest.mark.parametrize(("path", "expected"), [("/dev/stdout", True), ("/dev/fd/1", True), ("new.json", False)])
def test_what_a_process_has_open_is_no_file_to_replace(path, expected):
    assert is_special(path) == expected
