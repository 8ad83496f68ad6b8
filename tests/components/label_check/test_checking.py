import numpy as np

from components.label_check import checking, detection
from components.label_check.image_features import ImageFeatures, Split
from components.label_check.results import Kind
from config.label_check import LabelCheckConfig

CLASSES = ("circle", "square")


def images(train: int = 120, test: int = 40) -> ImageFeatures:
    """Two classes that are far apart; the first test image has the label of the other class."""
    random = np.random.default_rng(0)
    splits = {}
    for name, count in {"train": train, "test": test}.items():
        labels = np.arange(count) % 2
        vectors = random.normal(size=(count, 8)) + 3 * np.where(labels[:, None], [1, -1] * 4, [-1, 1] * 4)
        keys = [f"{name}-{index:04}" for index in range(count)]
        names = [CLASSES[label] for label in labels]
        splits[name] = Split(keys, [f"{key}.png" for key in keys], names, [""] * count, vectors.astype(np.float16))
    splits["test"].labels[0] = "square"
    return ImageFeatures(splits, (3, 5))


def check(found: ImageFeatures, look_alikes=(), **fields):
    return checking.check(found, CLASSES, look_alikes, LabelCheckConfig(**fields))


def test_a_wrong_label_in_test_is_named_with_the_right_class():
    found = check(images())
    first = found.suspects[0]
    assert (first.kind, first.path, first.split) == ("likely wrong", "test-0000.png", "test")
    assert (first.label, first.likely_label) == ("square", "circle")
    assert first.score > 0.9
    assert found.totals.suspects[Kind.WRONG] == {"test": 1} and found.totals.in_test == 1
    assert found.totals.images == {"train": 120, "test": 40}


def test_each_test_image_has_its_nearest_training_images():
    data = images()
    data.splits["test"].vectors[5] = data.splits["train"].vectors[17]
    nearest = check(data).nearest
    assert len(nearest) == 40 and {len(several) for several in nearest.values()} == {3}
    first, second, _ = nearest["test-0005"]
    assert (first.key, first.path, first.label) == ("train-0017", "train-0017.png", "square")
    assert abs(first.distance) < 1e-3 < second.distance


def cluster(labels: dict[str, int], paths: dict[str, list[str]]) -> dict:
    return {"path": "x", "labels": sorted(labels), "images_of_labels": labels, "paths": paths}


def test_images_that_look_the_same_and_have_other_labels_are_named_once():
    paths = {"train": ["train-0002.png", "train-0004.png"], "test": ["test-0000.png", "test-0003.png"]}
    rows = [
        cluster({"circle": 2, "square": 2}, paths),
        cluster({"circle": 2}, {"train": ["train-0006.png", "train-0008.png"]}),  # same label
        cluster({"circle": 1, "square": 1}, {"train": ["gone.png"]}),
    ]
    found = check(images(), rows)
    by_path = {one.path: one for one in found.suspects}
    assert len(by_path) == len(found.suspects)
    assert by_path["test-0000.png"].kind == "likely wrong"
    twin = by_path["train-0002.png"]
    assert (twin.kind, twin.label, twin.likely_label, twin.score) == ("near-duplicate", "circle", "square", 0.5)
    assert "train-0006.png" not in by_path
    assert found.totals.suspects[Kind.NEAR_DUPLICATE] == {"train": 2, "test": 1}


def test_no_more_are_listed_than_asked_for_but_all_are_counted():
    paths = {"train": [f"train-{index:04}.png" for index in range(10)]}
    found = check(images(), [cluster({"circle": 5, "square": 5}, paths)], most=2)
    assert found.totals.suspects[Kind.NEAR_DUPLICATE] == {"train": 10}
    assert sum(one.kind == Kind.NEAR_DUPLICATE for one in found.suspects) == 2


def test_classes_that_training_does_not_know_are_left_out():
    data = images()
    data.splits["test"].labels[1] = "triangle"
    found = check(data)
    assert found.totals.not_judged == ["triangle"]
    assert "test-0001.png" not in {one.path for one in found.suspects if one.kind in ("likely wrong", "check")}
    assert found.suspects[0].path == "test-0000.png"


def test_with_too_few_images_no_label_is_judged():
    found = check(images(train=12, test=2))
    assert found.totals.noise is None
    assert found.totals.not_judged == list(CLASSES)
    assert detection.FEWEST_IMAGES > 7
    assert {one.kind for one in found.suspects} <= {"outlier"}
    assert len(found.nearest) == 2
