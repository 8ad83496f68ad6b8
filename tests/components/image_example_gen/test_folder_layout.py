"""Folders of splits: which layouts are used as splits, and which are refused, with what the message says to do."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.image_example_gen import sources
from components.image_example_gen.sources import layout
from components.image_example_gen.sources.layout import Layout
from config.data import IngestionConfig
from config.errors import BadInputError


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(path.name)


def opened(root: Path, *paths: str, **config) -> sources.Source:
    for path in paths:
        touch(root / path)
    return sources.open_source(str(root), IngestionConfig(**config))


def tree(*splits: str, classes: tuple[str, ...] = ("cat", "dog")) -> list[str]:
    return [f"{split}/{name}/deep/{index}.jpg" for split in splits for name in classes for index in range(2)]


def found(source: sources.Source) -> set[tuple[str, str, str]]:
    """First folder, label and split of each item."""
    return {(item.path.split("/")[0], item.label, item.split) for item in source.items()}


@pytest.mark.parametrize(
    "folders",
    [
        {"train": "train", "val": "eval", "test": "test"},
        {"Train": "train", "VALIDATION": "eval", "Testing": "test"},
        {"training": "train", "valid": "eval"},
        {"train_set": "train", "dev-set": "eval", "testset": "test"},
        {"train2017": "train", "val2017": "eval"},
        {"trainImages": "train", "Test Data": "test"},
        {"seg_train": "train", "seg_test": "test"},
        {"Split-train": "train", "Split-eval": "eval", "Split-test": "test"},
        {"train": "train", "val": "eval", "valid": "eval"},
        {"train": "train"},
    ],
)
def test_folders_of_splits_are_the_splits_and_the_folders_below_are_the_classes(tmp_path, folders):
    source = opened(tmp_path, *tree(*folders))
    assert found(source) == {(name, label, split) for name, split in folders.items() for label in ("cat", "dog")}
    assert source.classes() == ["cat", "dog"]
    assert dict(source.findings().split_folders) == folders
    assert list(source.findings().split_folders.values()) == [
        split for split in ("train", "eval", "test") for one in folders.values() if one == split
    ]


def test_the_splits_of_a_folder_count_for_the_state(tmp_path):
    before = opened(tmp_path, *tree("train", "test")).state()
    (tmp_path / "test").rename(tmp_path / "val")
    assert opened(tmp_path).state() != before


@pytest.mark.parametrize(
    "names",
    [
        ("steam", "bus", "car"),
        ("pregnancy test", "flu test"),
        ("positive_test", "negative_test"),
        ("training_shoe", "boot"),
        ("attest", "contrain"),
    ],
)
def test_other_folders_are_classes(tmp_path, names):
    source = opened(tmp_path, *(f"{name}/1.jpg" for name in names))
    assert source.classes() == sorted(names)
    assert source.findings().split_folders == {}


@pytest.mark.parametrize("name", ["train", "Test", "dev", "val2", "test_set"])
def test_a_folder_of_a_split_beside_classes_is_refused_unless_data_classes_names_it(tmp_path, name):
    paths = (f"{name}/1.jpg", "bus/1.jpg", "car/1.jpg")
    with pytest.raises(BadInputError, match=rf"named like splits \({name}\) beside other folders \(bus, car\);.*cl"):
        opened(tmp_path, *paths).items()
    source = opened(tmp_path, *paths, classes=["bus", "car", name])
    assert source.classes() == sorted(["bus", "car", name])
    assert {item.split for item in source.items()} == {""}


def test_classes_that_are_all_named_like_splits_can_be_listed(tmp_path):
    paths = ("train/1.jpg", "test/1.jpg")
    with pytest.raises(BadInputError, match=r"test, train\), but test, train contains images without class folders"):
        opened(tmp_path, *paths).items()
    assert opened(tmp_path, *paths, classes=["train", "test"]).classes() == ["test", "train"]


def test_data_classes_names_the_classes_below_the_splits(tmp_path):
    source = opened(tmp_path, *tree("train", "test"), "test/cow/1.jpg", classes=["cat", "dog"])
    rejected = {item.path: item.rejection.reason for item in source.items() if item.rejection}
    assert rejected == {"test/cow/1.jpg": "unknown-label"}
    assert source.classes() == ["cat", "dog"]


def test_a_file_in_a_split_but_in_no_class_is_quarantined(tmp_path):
    source = opened(tmp_path, *tree("train", "test"), "train/stray.jpg", "stray.jpg")
    rejected = {item.path: item.rejection.reason for item in source.items() if item.rejection}
    assert rejected == {"train/stray.jpg": "no-label", "stray.jpg": "no-label"}


def test_a_split_folder_that_contains_one_of_its_own_name_is_looked_through(tmp_path):
    paths = [f"seg_{split}/seg_{split}/{name}/1.jpg" for split in ("train", "test") for name in ("sea", "street")]
    source = opened(tmp_path, *paths)
    assert source.classes() == ["sea", "street"]
    assert {(item.label, item.split) for item in source.items()} == {
        (label, split) for label in ("sea", "street") for split in ("train", "test")
    }


def test_splits_inside_of_class_folders_are_used(tmp_path):
    paths = [f"{name}/{split}/1.jpg" for name in ("cat", "dog") for split in ("Train", "val")]
    source = opened(tmp_path, *paths, "dog/test/1.jpg")
    assert source.classes() == ["cat", "dog"]
    assert {item.path: item.split for item in source.items()} == {
        **{path: "train" if "Train" in path else "eval" for path in paths},
        "dog/test/1.jpg": "test",
    }
    assert source.findings().split_folders == {"Train": "train", "val": "eval", "test": "test"}


def test_one_folder_of_a_split_inside_of_a_class_is_a_folder(tmp_path):
    source = opened(tmp_path, "vehicle/train/1.jpg", "vehicle/bus/1.jpg", "animal/1.jpg")
    assert {item.split for item in source.items()} == {""}


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["val/cat/1.jpg", "test/dog/1.jpg"], r"named like splits \(test, val\), and none like the training split"),
        (["train/1.jpg", "test/2.jpg"], r"but test, train contains images without class folders"),
        ([*tree("train"), "test1/1.jpg"], r"but test1 contains images without class folders.*or move that folder"),
        ([*tree("train", "val"), "val/cow/1.jpg"], r"the class 'cow' is in val of .*, but not in the training split"),
        (
            [*tree("train"), *tree("val", classes=("Cat", "dog"))],
            r"the class 'Cat' is in val .* split; the training split has 'cat'",
        ),
        (tree("train", "test", "unlabeled"), r"\(test, train\) beside other folders \(unlabeled\); if they are splits"),
        (
            ["dataset/" + path for path in tree("train", "test")],
            r"set data.path to the folder 'dataset' in it, if \['t",
        ),
        (["a/b/cat/1.jpg", "a/b/dog/1.jpg"], r"set data.path to the folder 'a/b' in it, if \['cat', 'dog'\] are"),
        (
            [path.replace("/", "/images/", 1) for path in tree("train", "test")],
            r"\['cat', 'dog'\] are too deep: move them from 'images' into the folders of the splits",
        ),
        (
            [f"{day}/{path}" for day in ("monday", "tuesday") for path in tree("train", "test")],
            r"the folders monday, tuesday of .* each contain splits \(test, train\).* same folders \(cat, dog\)",
        ),
        (
            ["cat/train/1.jpg", "cat/test/1.jpg", "dog/1.jpg"],
            r"named like splits \(test, train\) and something else \(dog/1.jpg\)",
        ),
        (
            ["cat/train/1.jpg", "cat/test/1.jpg", "dog/train/1.jpg", "dog/other/1.jpg"],
            r"named like splits \(test, train\) and something else \(dog/other\)",
        ),
        ([*tree("train", "test", classes=("cat",))], r"two or more class folders with files\. Found: \['cat'\]"),
    ],
)
def test_folders_that_can_be_meant_otherwise_are_refused(tmp_path, paths, message):
    with pytest.raises(BadInputError, match=message):
        opened(tmp_path, *paths).items()


def test_an_empty_split_or_class_is_refused_and_a_class_may_be_missing_in_eval(tmp_path):
    opened(tmp_path, *tree("train", "test"), "val/cat/1.jpg").items()
    (tmp_path / "train/cow").mkdir()
    with pytest.raises(BadInputError, match=r"without any file: \['cow'\]"):
        opened(tmp_path).items()
    (tmp_path / "train/cow").rename(tmp_path / "dev")
    with pytest.raises(BadInputError, match=r"without any file: \['dev'\]"):
        opened(tmp_path).items()


def test_folders_of_splits_may_be_links_if_that_is_allowed(tmp_path):
    opened(tmp_path / "elsewhere", *tree("train"))
    opened(tmp_path / "photos", *tree("val"))
    (tmp_path / "photos/train").symlink_to(tmp_path / "elsewhere/train", target_is_directory=True)
    with pytest.raises(BadInputError, match=r"contains links: \['train'\]; set data.outside_files"):
        opened(tmp_path / "photos").items()
    source = opened(tmp_path / "photos", outside_files=True)
    assert source.findings().split_folders == {"train": "train", "val": "eval"}


def test_a_folder_without_images_beside_the_splits_does_not_matter(tmp_path):
    source = opened(tmp_path, *tree("train", "test"), "annotations/train.json")
    assert source.classes() == ["cat", "dog"]


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        (("train/a", "train/b", "Val/a", "test/a"), ("train", "train", "eval", "test")),
        (
            ("x/train-00000-of-00002", "x/train-00001-of-00002", "x/validation-00000-of-00001"),
            ("train", "train", "eval"),
        ),
        (("pets-train.tfrecord-00000-of-00001", "pets-test.tfrecord-00000-of-00001"), ("train", "test")),
        (("training_data.tfrecord", "testing_data.tfrecord"), ("train", "test")),
        (("Split-train/data.gz", "Split-eval/data.gz"), ("train", "eval")),
        (("a/part-0", "b/part-0", "train"), ("", "", "")),
        (("val/a", "test/a"), ("", "")),
        (("part-0", "part-1"), ("", "")),
    ],
)
def test_records_in_folders_or_files_of_splits_are_in_these_splits(tmp_path, files, splits):
    config = {"source": "tfrecords", "fields": {"image": "image", "label": "label"}}
    source = opened(tmp_path, *files, **config)
    assert {item.path: item.split for item in source.items()} == dict(zip(files, splits, strict=True))
    assert set(source.findings().split_folders.values()) == set(splits) - {""}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (("train/a", "holdout/a"), r"folders named like splits \(train\) beside other folders \(holdout\)"),
        (("x/train/a", "x/test/a", "x/more/a"), r"splits \(test, train\) beside other folders \(more\)"),
        (
            ("train-0.tfrecord", "holdout-0.tfrecord"),
            r"files named like splits \(train-0.*beside other files \(holdout-0",
        ),
        (("cats-train-0", "cats-test-0", "dogs-train-0", "dogs-test-0"), "in different words"),
        (("Split-train/a", "Split-test/a", "holdout/b"), r"beside the folders Split-….*: holdout/b; move"),
    ],
)
def test_records_beside_those_of_splits_are_refused(tmp_path, files, message):
    config = {"source": "tfrecords", "fields": {"image": "image", "label": "label"}}
    with pytest.raises(BadInputError, match=message):
        opened(tmp_path, *files, **config).items()


def test_records_that_say_their_split_may_have_any_name(tmp_path):
    fields = {"image": "image", "label": "label", "split": "s"}
    source = opened(tmp_path, "train/a", "holdout/a", source="tfrecords", fields=fields)
    assert {item.split for item in source.items()} == {""}


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        (tree("entrenamiento", "prueba", classes=("a", "b")), ["a", "b"]),
        ([*tree("entrenamiento", "prueba", classes=("a", "b")), "prueba/x.jpg", "prueba/C/1.jpg"], ["a", "b"]),
        (tree("train", "test"), []),
        ([f"train/{top}/{inner}/1.jpg" for top in ("x", "y") for inner in ("a", "b")], ["a", "b"]),
        (["cat/day/1.jpg", "cat/night/1.jpg", "dog/day/1.jpg", "dog/dusk/1.jpg"], []),
        (["cat/a/1.jpg", "cat/b/1.jpg", *(f"cat/{i}.jpg" for i in range(9)), "dog/a/1.jpg", "dog/b/1.jpg"], []),
        (["cat/1.jpg", "dog/1.jpg"], []),
    ],
)
def test_folders_that_every_class_contains_may_be_the_classes(tmp_path, paths, found):
    source = opened(tmp_path, *paths)
    assert source.findings().inner_folders == found


NAMES = st.sampled_from(["train", "Val", "test", "cat", "dog", "bus", "set", "a.jpg", "b.jpg"])


@given(st.sets(st.lists(NAMES, min_size=1, max_size=5).map(tuple), min_size=1, max_size=12))
def test_every_file_has_a_class_or_none_and_never_a_split_without_a_class_folder(paths):
    try:
        chosen = layout.find("photos", sorted(paths), None)
    except BadInputError as error:
        assert "split" in str(error)
        return
    splits = {chosen.split_of(path) for path in paths if chosen.label_of(path)}
    assert splits <= {"train", "eval", "test"} or splits == {""}
    if chosen == Layout():
        assert all(chosen.label_of(path) == (path[0] if len(path) > 1 else "") for path in paths)
