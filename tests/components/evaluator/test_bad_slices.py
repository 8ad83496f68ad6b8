"""The search for parts of the test images in which a candidate is worse: both of its error rates, and what it says."""

import numpy as np
import pytest
import scipy.stats

from benchmarks import slices as simulation
from components import fact_table
from components.evaluator import bad_slices, slice_candidates, slice_findings, slice_test
from components.evaluator.predictions import Predictions
from modules.data import features
from pipeline import slice_summary

SIMULATIONS, IMAGES = 20, 1000


def searched(seed: int, images: int, planted: str) -> tuple[simulation.TestSplit, dict[str, np.ndarray]]:
    """A simulated test split, and the parts of it that are reported."""
    split = simulation.simulated(np.random.default_rng(seed), images, 3, planted)
    parts = slice_candidates.of_clusters(split.vectors)
    for name, values in split.facts.items():
        parts |= slice_candidates.of_values(name, values)
    return split, {name: parts[name] for name in bad_slices.find(parts, split.right, split.labels, 0.05)}


@pytest.mark.parametrize("planted", ["camera", "cluster"])
def test_a_bad_part_is_found_in_nine_of_ten_simulations(planted):
    found = 0
    for seed in range(SIMULATIONS):
        split, parts = searched(seed, IMAGES, planted)
        found += any(split.bad[part].mean() > 0.5 for part in parts.values())
    assert found >= 0.9 * SIMULATIONS


def test_a_model_without_a_bad_part_is_seldom_accused_although_farms_have_hard_classes():
    alarms = sum(bool(searched(seed, IMAGES, "")[1]) for seed in range(2 * SIMULATIONS))
    assert alarms <= 0.05 * 2 * SIMULATIONS


def test_the_test_is_fishers_for_one_class_and_counts_each_class_by_itself():
    random = np.random.default_rng(0)
    part, right = random.random(200) < 0.2, random.random(200) < 0.8
    table = [[(part & ~right).sum(), (part & right).sum()], [(~part & ~right).sum(), (~part & right).sum()]]
    expected = scipy.stats.fisher_exact(table, alternative="greater").pvalue
    assert slice_test.probability(part, right, np.zeros(200, int)) == pytest.approx(expected)
    hard = np.arange(200) % 2  # the part has nearly only images of the hard class, on which the model is always wrong
    part = (hard == 1) & (random.random(200) < 0.5)
    assert slice_test.probability(part, hard == 0, hard) == 1
    assert slice_test.expected_accuracy(part, hard == 0, hard) == 0
    assert slice_test.probability(hard == 1, hard == 0, hard) == 1  # no other images of this class


def test_holms_factors_fall_and_the_values_never_do():
    assert slice_test.holm([0.03, 0.01, 0.04, 0.5]) == pytest.approx([0.09, 0.04, 0.09, 0.5])
    assert slice_test.holm([]) == []


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> tuple[str, Predictions]:
    """Facts about 400 images in no order of the keys, and answers: half of those for dark photos are wrong."""
    folder, random = tmp_path_factory.mktemp("report"), np.random.default_rng(0)
    keys = [f"{key:064x}" for key in random.permutation(400)]
    dark, north = random.random(400) < 0.15, random.random(400) < 0.5
    rows = [
        {
            **{
                fact_table.KEY: key,
                fact_table.LABEL: "dog",
                features.HEIGHT: 100,
                features.WIDTH: 150,
                features.SHARPNESS: 700.0,
            },
            **{features.BRIGHTNESS: 0.1 if is_dark else 0.6, features.FORMAT: "PNG" if is_dark else "JPEG"},
            **{features.CAMERA: "", "column/farm": "north" if is_north else "", "column/age": f"{number / 10}"},
        }
        for number, (key, is_dark, is_north) in enumerate(zip(keys, dark, north, strict=True))
    ]
    fact_table.write(f"{folder}/facts", "test-00000-of-00001", ["farm", "age"], rows)
    wrong = dark & (random.random(400) < 0.5)
    order = np.argsort(keys)
    answers = np.where(wrong, 0.2, 0.8)[order, None] * [-1, 1] + [1, 0]
    paths = [b"dog/%d \xff.jpg" % number for number in order]
    labels = ["dog"] * 400
    return str(folder), Predictions(["cat", "dog"], None, sorted(keys), paths, labels, answers.astype(np.float32), None)


def test_facts_and_answers_are_joined_by_key_and_the_finding_survives_its_file(report, tmp_path):
    folder, answers = report
    found = bad_slices.search(answers, folder, None, ["test"], 0.95)
    (one,) = found.slices
    assert (one.slice, one.also, found.groups) == ("image/brightness_band=very dark", ["image/format=PNG"], 0)
    right = answers.candidate.argmax(axis=1) == 1
    facts = fact_table.read(folder, ["test"])
    is_dark = dict(zip(facts.keys, facts.numbers[features.BRIGHTNESS] < 0.15, strict=True))
    part = np.array([is_dark[key] for key in answers.keys])
    assert (one.images, one.accuracy, one.elsewhere) == (part.sum(), right[part].mean(), right[~part].mean())
    wrong_paths = {path for path, is_right in zip(answers.paths, right, strict=True) if not is_right}
    assert len(one.paths) == 5 and {path.encode("utf-8", "surrogateescape") for path in one.paths} <= wrong_paths
    # Brightness, sharpness, size and aspect ratio have 2 + 1 + 1 + 1 bands, of which single ones are no parts; farms 2,
    # formats 2, and ages four ranges.
    assert found.candidates == 2 + 2 + 2 + 4

    assert slice_findings.read(tmp_path) is None
    slice_findings.write(found, tmp_path)
    assert slice_findings.read(tmp_path) == found
    line = slice_summary.sentence(one)
    assert line.startswith(
        f"{one.images} test images with brightness very dark (mostly the same as those with format PNG): ac"
    )
    assert "against 100% on other images of the same classes" in line
    assert slice_summary.as_json(found)["slices"][0]["paths"][0].endswith(" �.jpg")


def test_an_answer_without_a_number_is_wrong(report):
    _, answers = report
    broken = answers.candidate.copy()
    broken[:, 1] = np.nan
    of_nothing = Predictions(["cat", "dog"], None, answers.keys, [], answers.labels, broken, None)
    assert not of_nothing.right.any()


def test_groups_in_words_have_names_of_images():
    def said(name: str) -> str:
        paths = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
        return slice_summary.sentence(slice_findings.BadSlice(name, 37, 0.7, 0.95, 0.001, paths))

    assert said("group=3").startswith("37 test images that look alike (a.jpg, b.jpg, c.jpg, …): accuracy 70% against")
    assert said("image/camera=").startswith("37 test images without camera: ")
    assert said("column/age from 3 to 7").startswith("37 test images with column age from 3 to 7: ")
