"""Checks on the data as a whole: which data stops a run, and what the message names."""

from __future__ import annotations

import dataclasses

import pytest

from components.image_example_gen import data_checks, quarantine
from components.image_example_gen.quarantine import BadImagesError
from components.image_example_gen.report import Counts
from config.errors import BadInputError

SPLITS = {"train": {"tea": 8, "milk": 3}, "eval": {"tea": 1}, "test": {"tea": 1, "milk": 1}}


def counts(found: int = 14, quarantined: int = 0, **splits: dict[str, int]) -> Counts:
    return Counts(found, quarantined, duplicates=0, splits=SPLITS | splits, fingerprint="0" * 64)


def quarantined(number: int) -> list[dict[str, str]]:
    return [
        {"path": f"{index}.jpg", "reason": "truncated", "detail": f"{index} bytes are missing", "thumbnail": None}
        for index in range(number)
    ]


def test_good_data_passes():
    data_checks.check_conflicts([])
    data_checks.check_quarantine(counts(), [], 0.0)
    data_checks.check_splits(counts(), {"train"})
    data_checks.check_classes(counts(), ["tea", "milk"], False, set())


def test_conflicts_are_named_with_their_paths_and_labels_come_first():
    group = {"kind": "group 'scene'", "path": "1.jpg", "with": ["2.jpg"]}
    labels = {"kind": "labels", "path": "3.jpg (tea)", "with": ["4.jpg (milk)", "5.jpg (juice)"]}
    with pytest.raises(BadInputError, match=r"labels: 3\.jpg \(tea\) = 4\.jpg \(milk\) = 5\.jpg \(juice\); keep"):
        data_checks.check_conflicts([group, labels])
    with pytest.raises(BadInputError, match=r"several splits: group 'scene': 1\.jpg, 2\.jpg; put"):
        data_checks.check_conflicts([group])


def test_no_image_at_all_is_an_error():
    with pytest.raises(BadInputError, match="no image was found"):
        data_checks.check_quarantine(counts(found=0), [], 1.0)


def test_too_many_unusable_images_are_an_error_that_says_why_and_holds_all():
    data_checks.check_quarantine(counts(100, 12), quarantined(12), 0.12)
    with pytest.raises(BadInputError) as caught:
        data_checks.check_quarantine(counts(100, 12), quarantined(12), 0.11)
    message = str(caught.value)
    assert "12 of 100 files can't be used, more than data.max_bad_fraction 0.11 allows" in message
    assert message.endswith("12 truncated, such as 0.jpg, 1.jpg, 2.jpg: 0 bytes are missing")
    assert [row["path"] for row in caught.value.rows] == [f"{index}.jpg" for index in range(12)]


def test_no_check_hides_why_the_images_are_missing():
    """With data.max_bad_fraction 1, any number may be rejected; what is missing then has this cause."""
    rejected = [
        {"path": f"{index}.jpg", "reason": "no-label", "detail": "the image has no label (nan)"} for index in range(9)
    ]
    why = r"9 no-label, such as 0\.jpg, 1\.jpg, 2\.jpg: the image has no label \(nan\)"
    nothing: dict[str, dict[str, int]] = {"train": {}, "eval": {}, "test": {}}
    untested = counts(14, 9, test={"tea": 1})
    for check in (
        lambda: data_checks.check_quarantine(counts(9, 9, **nothing), rejected, 1.0),
        lambda: data_checks.check_splits(counts(14, 9, eval={}), set(), rejected),
        lambda: data_checks.check_classes(untested, ["tea", "juice"], False, set(), rejected),
        lambda: data_checks.check_classes(untested, ["tea", "milk"], False, set(), rejected),
        lambda: data_checks.check_classes(counts(train={"tea": 1}), ["tea", "milk"], True, set(), rejected),
        lambda: data_checks.check_classes(
            counts(train={"tea": 1}, eval={"tea": 1}, test={"tea": 1}), ["tea"], True, set(), rejected
        ),
    ):
        with pytest.raises(BadImagesError, match=why) as caught:
            check()
        assert len(caught.value.rows) == 9


def test_one_class_is_no_classifier():
    one = {"train": {"tea": 8}, "eval": {"tea": 1}, "test": {"tea": 1}}
    with pytest.raises(BadInputError, match=r"two classes or more are needed.*Found: \['tea'\]"):
        data_checks.check_classes(counts(**one), ["tea"], True, set())


def test_reasons_of_one_kind_are_one_entry_and_the_most_frequent_comes_first():
    def row(path: str, reason: str, detail: str) -> dict[str, str]:
        return {"path": path, "reason": reason, "detail": detail}

    rows = [row(f"{i}.jpg", "unknown-label", f"the label 'x{i}' is not in data.classes") for i in range(5)]
    rows = [row("a.jpg", "truncated", "12 bytes are missing"), *rows]
    assert quarantine.describe(rows) == (
        "5 unknown-label, such as 0.jpg, 1.jpg, 2.jpg: the label 'x0' is not in data.classes; "
        "1 truncated, such as a.jpg: 12 bytes are missing"
    )
    kinds = [row(f"{letter}.jpg", "unreadable", letter) for letter in "abcdefgh"]
    assert quarantine.describe(kinds).endswith("; 3 others")


def test_an_empty_split_is_an_error_that_names_the_splits_of_the_source():
    with pytest.raises(BadInputError, match=r"none of 12 images is in the eval split.*assigns images to test, train"):
        data_checks.check_splits(counts(14, 2, eval={}), {"train", "test"})


def test_a_class_without_usable_training_or_test_images_is_an_error():
    with pytest.raises(BadInputError, match=r"no file of \['juice'\] can be used"):
        data_checks.check_classes(counts(), ["tea", "milk", "juice"], True, set())
    with pytest.raises(BadInputError, match=r"no image of \['milk'\] is in the training split"):
        data_checks.check_classes(counts(train={"tea": 8}), ["tea", "milk"], True, set())
    untested = counts(test={"tea": 1})
    with pytest.raises(
        BadInputError,
        match=r"no image of 'milk' \(images in all splits: 3\) is in the test split.*gate\.on_missing_class",
    ):
        data_checks.check_classes(untested, ["tea", "milk"], False, set())
    data_checks.check_classes(untested, ["tea", "milk"], True, set())


def test_a_class_whose_images_count_as_one_is_told_so():
    untested = dataclasses.replace(counts(test={"tea": 1}), pictures={"milk": 1, "tea": 5})
    cause = (
        r"data\.near_duplicates: group keeps .* so the 3 images of 'milk' count as 1; add images that look different"
    )
    with pytest.raises(BadInputError, match=rf"no image of 'milk' .* is in the test split.*{cause}"):
        data_checks.check_classes(untested, ["tea", "milk"], False, set())
    empty = dataclasses.replace(counts(eval={}), pictures={"milk": 2, "tea": 9})
    with pytest.raises(BadInputError, match=r"in the eval split.*the 4 images of 'milk' count as 2"):
        data_checks.check_splits(empty, set())
    for check in (
        lambda: data_checks.check_classes(dataclasses.replace(untested, pictures={}), ["tea", "milk"], False, set()),
        lambda: data_checks.check_classes(untested, ["tea", "milk"], False, {"train"}),  # the source is the cause
        lambda: data_checks.check_classes(
            dataclasses.replace(untested, pictures={"milk": 3}), ["tea", "milk"], False, set()
        ),
    ):
        with pytest.raises(BadInputError) as caught:
            check()
        assert "near_duplicates" not in str(caught.value)


def test_a_class_of_which_every_training_image_has_the_weight_0_is_an_error():
    def check(**train: float) -> None:
        weights = {"train": train, "eval": {"tea": 0.0}, "test": {"tea": 0.0, "milk": 0.0}}
        data_checks.check_weights(dataclasses.replace(counts(), weights=weights))

    check(tea=8.0, milk=0.5)
    with pytest.raises(
        BadInputError, match=r"weights of all images of \['milk'\] in the train split are 0, so nothing"
    ):
        check(tea=8.0, milk=0.0)
    with pytest.raises(BadInputError, match="weights of all 11 images in the train split are 0"):
        check(tea=0.0, milk=0.0)


def test_different_weights_of_one_image_are_an_error_with_both_lines():
    weights = {"kind": "weights", "path": "1.jpg (1.0, line 2)", "with": ["1.jpg (5.0, line 9)"]}
    with pytest.raises(
        BadInputError, match=r"different weights: 1\.jpg \(1\.0, line 2\) = 1\.jpg \(5\.0, line 9\); keep"
    ):
        data_checks.check_conflicts([weights])
