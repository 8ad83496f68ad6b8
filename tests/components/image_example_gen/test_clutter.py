"""Which files and folders are no data, and that they are counted."""

import os
from pathlib import Path

import pytest

from components.image_example_gen import sources
from components.image_example_gen.sources import clutter, filesystem
from config.data import IngestionConfig
from config.errors import BadInputError


def laid_out(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    return root


@pytest.mark.parametrize("change", [str, str.upper, str.lower, str.title])
@pytest.mark.parametrize(
    ("name", "is_folder"),
    [
        *((name, True) for name in ("@eaDir", "#recycle", "lost+found", "System Volume Information", "$RECYCLE.BIN")),
        *((name, True) for name in ("__MACOSX", ".Trashes", ".@__thumb", "a.lrdata", "FOUND.000", "#snapshot")),
        *((name, True) for name in ("c.bak", "old.tmp", "old.temp", "cat~")),
        *((name, False) for name in ("Thumbs.db", "ehthumbs.db", "desktop.ini", ".DS_Store", "._a.jpg", "a.xmp")),
        *((name, False) for name in ("a.jpg.json", "a.aae", "Picasa.ini", "a.lrcat", "~$a.jpg", "a.jpg.crdownload")),
    ],
)
def test_clutter_is_known_in_any_case(name, is_folder, change):
    assert clutter.kind_of(change(name), is_folder)


@pytest.mark.parametrize(
    ("name", "is_folder"),
    [
        *(
            (name, True)
            for name in ("recycle", "snapshot", "tmp", "a.json", "a.part", "Thumbs.db", "original", "x_original")
        ),
        *((name, False) for name in ("json", "a.jpg", "original.jpg", "lost+found.jpg", "tmp.png", "a.txt", "xmp.png")),
        *((name, False) for name in ("part-00000-of-00010", "data.tfrecord", "data-00000-of-00002.gz", "a~b.jpg")),
    ],
)
def test_other_names_are_data(name, is_folder):
    assert clutter.kind_of(name, is_folder) == ""


def test_text_beside_an_image_of_its_name_describes_it_and_other_text_is_a_bad_file(tmp_path):
    root = laid_out(tmp_path, "a/1.jpg", "a/1.txt", "a/1.jpg.xml", "a/2.txt", "b/3.jpg", "b/1.txt")
    source = sources.open_source(str(root), IngestionConfig())
    assert [item.path for item in source.items()] == ["a/1.jpg", "a/2.txt", "b/1.txt", "b/3.jpg"]
    assert source.findings().ignored == {"*.txt": 1, "*.xml": 1}


def test_an_ignored_folder_is_one_entry_and_is_never_opened(tmp_path, monkeypatch):
    paths = [f"{folder}/{index}.jpg" for folder in ("a", "b", "a/@eaDir/1.jpg", "lost+found") for index in range(3)]
    root, scandir = laid_out(tmp_path, *paths), os.scandir

    def guarded(path):
        if "lost+found" in str(path):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    found = filesystem.list_below(str(root), outside_files=False)
    assert len(found.files) == 6 and found.ignored_kinds == {"@eaDir/": 1, "lost+found/": 1}


def test_a_link_to_an_ignored_folder_is_ignored_too(tmp_path):
    root = laid_out(tmp_path, "a/1.jpg", "b/1.jpg", "@eaDir/1.jpg")
    (root / "a/@eaDir").symlink_to(root / "@eaDir", target_is_directory=True)
    assert len(filesystem.list_below(str(root), outside_files=True).files) == 2


def test_a_class_named_like_clutter_is_named_and_data_classes_makes_it_one(tmp_path):
    root = laid_out(tmp_path, "a/1.jpg", "b/1.jpg", ".net/1.jpg", "CaptureOne/1.jpg")
    assert sources.open_source(str(root), IngestionConfig()).findings().ignored == {".net/": 1, "CaptureOne/": 1}
    source = sources.open_source(str(root), IngestionConfig(classes=["a", "b", ".net", "CaptureOne"]))
    assert source.classes() == [".net", "CaptureOne", "a", "b"] and source.findings().ignored == {}


def test_a_class_folder_with_nothing_but_clutter_is_refused(tmp_path):
    root = laid_out(tmp_path, "a/1.jpg", "b/1.jpg", "c/Thumbs.db", "c/@eaDir/1.jpg")
    with pytest.raises(BadInputError, match=r"without any file: \['c'\]"):
        sources.open_source(str(root), IngestionConfig()).items()


def test_clutter_beside_records_is_ignored_and_told_if_nothing_else_is_there(tmp_path):
    config = IngestionConfig(source="tfrecords", fields={"image": "i", "label": "l"})
    root = laid_out(tmp_path, "part-0.tfrecord", "_SUCCESS", "features.json", "@eaDir/part-0.tfrecord")
    source = sources.open_source(str(root), config)
    assert [item.path for item in source.items()] == ["part-0.tfrecord"]
    assert source.findings().ignored == {"*.json": 1, "@eaDir/": 1, "_SUCCESS": 1}
    with pytest.raises(BadInputError, match=r"where these are ignored: \*\.json"):
        sources.open_source(str(root / "*.json"), config).items()
