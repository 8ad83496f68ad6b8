from collections import Counter

import numpy as np
import pytest
from PIL import Image

from benchmarks import subsets
from benchmarks.subsets import Draw


@pytest.fixture
def parts(tmp_path):
    """A data set with its own test part; nothing opens these images."""
    for part, count in (("train", 40), ("test", 10)):
        for name in ("cat", "dog"):
            (tmp_path / part / name).mkdir(parents=True)
            for number in range(count):
                (tmp_path / part / name / f"{number:02d}.png").touch()
    return tmp_path


@pytest.fixture
def scenes(tmp_path):
    """Class folders with scenes of three images that look the same: 10 of `day`, 5 of `night`."""
    generator = np.random.default_rng(0)
    for name, count in (("day", 10), ("night", 5)):
        (tmp_path / name).mkdir()
        for scene in range(count):
            small = Image.fromarray(generator.integers(0, 256, (4, 4, 3), np.uint8))
            pixels = np.asarray(small.resize((48, 48), Image.Resampling.BICUBIC)).copy()
            for frame in range(3):
                pixels[0, 0] = frame
                Image.fromarray(pixels).save(tmp_path / name / f"{scene}-{frame}.png")
    return tmp_path


def names(split):
    return {f"{label}/{file.name}" for label, files in split.items() for file in files}


def counts(split):
    return {label: len(files) for label, files in split.items()}


def test_a_seed_draws_the_wanted_images_of_each_class(parts):
    drawn = subsets.draw(parts, Draw(seed=1, per_class=18, test_images=8))
    assert counts(drawn["train"]) == {"cat": 16, "dog": 16}
    assert counts(drawn["eval"]) == {"cat": 2, "dog": 2}
    assert counts(drawn["test"]) == {"cat": 4, "dog": 4}
    assert not names(drawn["train"]) & names(drawn["eval"])
    assert all(file.is_relative_to(parts / "train") for files in drawn["eval"].values() for file in files)
    assert drawn == subsets.draw(parts, Draw(seed=1, per_class=18, test_images=8))


def test_another_seed_trains_on_other_images_and_tests_on_the_same(parts):
    one, other = (subsets.draw(parts, Draw(seed, per_class=18, test_images=8)) for seed in (0, 1))
    assert names(one["train"]) != names(other["train"])
    assert one["test"] == other["test"]


def test_fewer_images_are_some_of_more_images(parts):
    fewer, more = (subsets.draw(parts, Draw(0, per_class)) for per_class in (9, 30))
    assert names(fewer["train"]) | names(fewer["eval"]) < names(more["train"]) | names(more["eval"])


def test_too_many_images_per_class_are_refused(parts):
    with pytest.raises(ValueError, match="cat: 41 images are wanted of 40"):
        subsets.draw(parts, Draw(0, per_class=41))


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Draw(0, per_class=18, test_images=1), "cat: no image is wanted of 10"),
        (Draw(0, per_class=1), "train: has no image of cat, dog"),
        (Draw(0, long_tail=20), "add --per-class"),
    ],
)
def test_what_cannot_be_drawn_is_refused(parts, wanted, message):
    with pytest.raises(ValueError, match=message):
        subsets.draw(parts, wanted)


def test_a_long_tail_falls_exponentially_in_an_order_that_the_seed_draws():
    classes = ["a", "b", "c"]
    found = subsets.class_counts(classes, Draw(0, per_class=100, long_tail=25))
    assert sorted(found.values()) == [4, 20, 100]
    orders = {tuple(subsets.class_counts(classes, Draw(seed, 100, 25)).items()) for seed in range(10)}
    assert len(orders) > 1


def test_images_that_look_the_same_are_in_one_split(scenes):
    tested = Counter()
    for seed in range(5):
        drawn = subsets.draw(scenes, Draw(seed))
        split_of = {file: split for split, classes in drawn.items() for files in classes.values() for file in files}
        assert len(split_of) == 45
        places = {}
        for file, split in split_of.items():
            places.setdefault((file.parent.name, file.name.split("-")[0]), set()).add(split)
        assert all(len(splits) == 1 for splits in places.values())
        assert counts(drawn["test"]) == {"day": 6, "night": 3}
        assert all(counts(drawn["eval"]).values())
        tested.update(file for file, split in split_of.items() if split == "test")
    assert set(tested.values()) == {1}, "five folds test each image once"
    assert len(tested) == 45


def test_links_lead_to_the_images(scenes, tmp_path):
    drawn = subsets.draw(scenes, Draw(0))
    subsets.link(drawn, tmp_path / "linked")
    for split, classes in drawn.items():
        for label, files in classes.items():
            linked = sorted((tmp_path / "linked" / split / label).iterdir())
            assert [link.resolve() for link in linked] == [file.resolve() for file in files]


def test_a_missing_data_set_is_reported_with_the_command_that_gets_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=r"data/cifar10: does not exist; run `python data/prepare_cifar10\.py` first"):
        subsets.check_folder(subsets.DATA["cifar10"])
    subsets.DATA["cifar10"].mkdir(parents=True)
    subsets.check_folder(subsets.DATA["cifar10"])
