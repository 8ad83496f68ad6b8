"""Facts that tell the classes apart by themselves: found where there are some, and no false alarms."""

import numpy as np
import pytest

from components.image_example_gen import shortcuts

SIMULATIONS = 40


def found_in(facts, labels, cut):
    """What is found if the first `cut` images are the training images."""
    train, held_out = ({name: fact[some] for name, fact in facts.items()} for some in (slice(cut), slice(cut, None)))
    names = [f"class {label}" for label in labels]
    return shortcuts.find(train, names[:cut], held_out, names[cut:])


def rate(effect: float, images: int, classes: int) -> float:
    """How often anything is reported: class 0 is brighter by so many standard deviations; the rest is chance."""
    reported = 0
    for seed in range(SIMULATIONS):
        random = np.random.default_rng(seed)
        labels = random.integers(classes, size=images)
        facts = {f"fact {number}": random.normal(size=images) for number in range(4)}
        facts["camera"] = [f"camera {number}" for number in random.integers(30, size=images)]
        facts["brightness"] = random.normal(size=images) + effect * (labels == 0)
        found = found_in(facts, labels, images * 8 // 10)
        assert effect or found == []  # a false alarm in any of the simulations is more than is allowed
        reported += any((one.fact, one.label) == ("brightness", "class 0") for one in found)
    return reported / SIMULATIONS


@pytest.mark.parametrize(("images", "classes"), [(100, 2), (100, 10), (2000, 10)])
def test_facts_that_have_nothing_to_do_with_the_classes_are_not_reported(images, classes):
    assert rate(0.0, images, classes) == 0


def test_a_class_of_dark_photos_is_reported_and_a_weak_effect_is_not():
    """Airplanes are often bright: most of their photos could as well be others."""
    assert rate(4.0, 600, 2) == 1.0
    assert rate(4.0, 2000, 10) == 1.0
    assert rate(0.7, 2000, 10) <= 0.05


def test_a_camera_of_each_class_is_reported_with_its_accuracy():
    labels = np.arange(600) % 3
    odd = np.random.default_rng(0).random(600) < 0.1
    facts = {"the camera": [f"{(label + is_odd) % 3}" for label, is_odd in zip(labels, odd, strict=True)]}
    found = found_in(facts, labels, 480)
    assert {one.label for one in found} == {"class 0", "class 1", "class 2"}
    of_class = found[0]
    number = int(of_class.label[-1])
    right = (np.array(facts["the camera"][480:]) == f"{number}") == (labels[480:] == number)
    is_class = labels[480:] == number
    assert of_class.accuracy == pytest.approx((right[is_class].mean() + right[~is_class].mean()) / 2)
    assert shortcuts._LEAST <= of_class.lower < of_class.accuracy
    (sentence,) = shortcuts.warnings(found, most=2)
    assert sentence.startswith(f"the camera alone tells a class from all others: {of_class.label} with 9")
    assert ", and 1 more classes (balanced accuracy on 120 held-out images; chance is 50%)" in sentence


def test_two_classes_are_one_finding_and_numbers_in_a_column_are_ranges():
    random = np.random.default_rng(0)
    labels = random.integers(2, size=400)
    ages = [f"{age:.2f}" for age in random.normal(size=400) + 5 * labels]  # most are in one image alone
    ages[3] = ages[399] = ""
    (one,) = found_in({"the column 'age'": ages}, labels, 300)
    assert (one.label, one.other, one.images) == ("class 0", "class 1", 100)
    assert next(shortcuts.warnings([one])).startswith("the column 'age' alone tells class 0 from class 1 with 9")
    names = [f"id {number}" for number in range(400)]  # a value that is in one image alone says nothing of others
    assert found_in({"the column 'id'": names}, labels, 300) == []


def test_findings_are_kept_in_the_report_and_older_reports_have_none(tmp_path):
    assert shortcuts.read(str(tmp_path)) == []
    one = shortcuts.Shortcut("brightness", "Kätze", "dog", 0.94, 0.9, 240)
    shortcuts.write(str(tmp_path), [one])
    assert shortcuts.read(str(tmp_path)) == [one]
