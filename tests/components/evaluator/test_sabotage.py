"""Broken candidates must be refused, each for its own reason, and sound ones must be pushed."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from gatekeeping import CLASSES, Gatekeeper, Photo, Scripted, answers, photos, rows

from components.evaluator import confidence
from components.evaluator.metric_names import Metric
from components.evaluator.preconditions import EvaluationError
from components.serving_directory import ServingDirectory
from components.version_files import CARD_JSON
from config.errors import BadInputError
from modules.serving import WARM_UP_FILE, signatures

TEST = photos(30)
TRAIN = photos(4, start=5000)
NEXT = dict(zip(CLASSES, (*CLASSES[1:], CLASSES[0]), strict=True))


@pytest.fixture
def keeper(tmp_path):
    def make(
        production: Scripted | None = None, gate: dict | None = None, push: dict | None = None, **splits: list[Photo]
    ) -> Gatekeeper:
        keeper = Gatekeeper(tmp_path, gate or {}, {"train": TRAIN, "eval": [], "test": TEST, **splits}, push or {})
        if production:
            keeper.put_in_production(production)
        return keeper

    return make


def wrong(shown, count: int, start: int = 0, of: str | None = None) -> dict[int, str]:
    """Answers the next class for `count` photos, from number `start` on, perhaps of one class only."""
    chosen = [photo for photo in shown if of in (None, photo.label)][start : start + count]
    return {photo.number: NEXT[photo.label] for photo in chosen}


def shuffled(shown) -> dict[int, str]:
    labels = np.random.default_rng(0).permutation([photo.label for photo in shown])
    return {photo.number: str(label) for photo, label in zip(shown, labels, strict=True)}


LARGE = photos(700)
TYPES = [
    Photo(number, CLASSES[number % 3], *(("GIF", "64-127", "") if number % 10 == 0 else ("JPEG", "64-127", "north")))
    for number in range(90)
]
LENIENT = {"min_accuracy": 0.0}
PERFECT = Scripted(answers(TEST))
WITH_BLUE = [*TEST, *(Photo(900 + i, "blue") for i in range(10))]

# name: candidate, production, gate, splits, and the checks that fail, as (metric, slice)
REFUSED = {
    "shuffled labels": (
        *(Scripted(answers(TEST, shuffled(TEST))), None, {}, {}),
        {("accuracy", "overall")},
    ),
    "two classes swapped": (
        Scripted(
            answers(
                TEST,
                {photo.number: {"cyan": "magenta", "magenta": "cyan"}.get(photo.label, "yellow") for photo in TEST},
            )
        ),
        *(None, {}, {}),
        {("accuracy", "overall")},
    ),
    "one class for every image, with varying probabilities": (
        Scripted({photo.encoded: [0.5 + 0.001 * photo.number, 0.3, 0.2 - 0.001 * photo.number] for photo in TEST}),
        *(None, {}, {}),
        {("accuracy", "overall")},
    ),
    "one class collapsed while overall accuracy holds": (
        *(Scripted(answers(TEST, wrong(TEST, 12, of="cyan"))), None, {"min_accuracy": 0.85, "min_recall": 0.7}, {}),
        {("accuracy", "image/label=cyan")},
    ),
    "one class below a bound of its own": (
        Scripted(answers(TEST, wrong(TEST, 4, of="yellow"))),
        *(None, {"min_accuracy": 0.8, "min_recall": {"yellow": 0.9, "cyan": 0.9}}, {}),
        {("accuracy", "image/label=yellow")},
    ),
    "a bound for a class that does not exist": (
        *(PERFECT, None, {"min_recall": {"blue": 0.5}}, {}),
        {("accuracy", "image/label=blue")},
    ),
    "the same answer for every image": (
        *(Scripted({photo.encoded: [0.4, 0.3, 0.3] for photo in TEST}), None, LENIENT, {}),
        {("spread", "overall")},
    ),
    "NaN weights": (
        *(Scripted(rows(TEST, float("nan"))), None, LENIENT, {}),
        {("valid", "overall"), ("spread", "overall")},
    ),
    "NaN for a single image": (
        *(Scripted({**answers(TEST), TEST[5].encoded: [float("nan")] * 3}), None, LENIENT, {}),
        {("valid", "overall")},
    ),
    "infinite for a single image": (
        *(Scripted({**answers(TEST), TEST[5].encoded: [float("inf"), 0, 0]}), None, LENIENT, {}),
        {("valid", "overall")},
    ),
    "logits instead of probabilities": (
        Scripted({photo.encoded: [4.0 * (photo.label == name) - 2 for name in CLASSES] for photo in TEST}),
        *(None, LENIENT, {}),
        {("spread", "overall"), ("valid", "overall")},
    ),
    "two points worse than production, with many images": (
        Scripted(answers(LARGE, wrong(LARGE, 55))),
        *(Scripted(answers(LARGE)), {}, {"test": LARGE}),
        {("accuracy_change", "overall")},
    ),
    "one class worse than production while overall accuracy holds": (
        Scripted(answers(LARGE, wrong(LARGE, 60, of="cyan"))),
        Scripted(answers(LARGE, wrong(LARGE, 60, of="yellow"))),
        *({"max_recall_regression": 0.02}, {"test": LARGE}),
        {("accuracy_change", "image/label=cyan")},
    ),
    "a regression of the measured value, where that is judged": (
        Scripted(answers(TEST, wrong(TEST, 2))),
        *(PERFECT, {"judge": {"regression": "value"}}, {}),
        {("accuracy_change", "overall")},
    ),
    "equal to production, where few images must prove it": (
        *(Scripted(answers(TEST), probability=0.8), PERFECT, {"judge": {"regression": "lower"}}, {}),
        {("accuracy_change", "overall")},
    ),
    "an accuracy that few images cannot prove, where they must": (
        *(Scripted(answers(TEST, wrong(TEST, 2))), None, {"judge": {"accuracy": "lower"}}, {}),
        {("accuracy", "overall")},
    ),
    "wrong answers for images of one format, which have no farm": (
        Scripted(answers(TYPES, {photo.number: NEXT[photo.label] for photo in TYPES if photo.format == "GIF"})),
        None,
        {
            "min_accuracy": 0.8,
            "slices": [
                {"feature": "image/format", "min_accuracy": 0.8},
                {"feature": "column/farm", "min_accuracy": 0.8},
                {"feature": "column/farm", "value": "", "min_examples": 10},
            ],
        },
        {"test": TYPES},
        {("accuracy", "image/format=GIF"), ("accuracy", "column/farm="), ("example_count", "column/farm=")},
    ),
    "no image of a slice that a bound names": (
        PERFECT,
        *(None, {"slices": [{"feature": "image/format", "value": "BMP", "min_accuracy": 0.8}]}, {}),
        {("accuracy", "image/format=BMP"), ("example_count", "image/format=BMP")},
    ),
    "too few images of a slice": (
        PERFECT,
        *(None, {"slices": [{"feature": "image/size_band", "value": "64-127", "min_examples": 91}]}, {}),
        {("example_count", "image/size_band=64-127")},
    ),
    "higher probabilities than the accuracy justifies": (
        *(Scripted(answers(TEST), probability=0.5), None, {"max_calibration_error": 0.1}, {}),
        {("calibration_error", "overall")},
    ),
    "an empty test split": (
        *(PERFECT, None, LENIENT, {"test": []}),
        {(m, "overall") for m in ("accuracy", "example_count", "rarest_class_examples", "spread", "valid")},
    ),
    "too small a test split": (
        *(PERFECT, None, LENIENT, {"test": TEST[:18]}),
        {("example_count", "overall")},
    ),
    "a class without test images": (
        *(PERFECT, None, LENIENT, {"test": [photo for photo in TEST if photo.label != "cyan"]}),
        {("rarest_class_examples", "overall")},
    ),
    "a class of the test split that the candidate does not know": (
        *(Scripted(answers(WITH_BLUE, {900 + i: "cyan" for i in range(10)})), None, {}, {"test": WITH_BLUE}),
        {("accuracy", "overall")},
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_broken_candidate_is_refused_for_its_own_reason(keeper, name):
    candidate, production, gate, splits, failed = REFUSED[name]
    gatekeeper = keeper(production, gate, **splits)
    before = gatekeeper.versions
    verdict = gatekeeper.judge(candidate)
    assert not verdict.blessed
    assert {(check.metric, check.slice) for check in verdict.checks if not check.passed} == failed
    assert all(isinstance(check.metric, Metric) for check in verdict.checks)
    assert gatekeeper.versions == before


FOUR = (*CLASSES, "blue")


def truncate(folder: Path) -> None:
    graph = folder / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[: graph.stat().st_size // 2])


def without_graph(folder: Path) -> None:
    (folder / "saved_model.pb").unlink()


NEVER_JUDGED = {
    "test images leaked into training": (
        PERFECT,
        {"train": [*TRAIN, TEST[7]]},
        "split test: 1 of its images are also in split train",
    ),
    "test images leaked into eval": (
        PERFECT,
        {"eval": TEST[3:5]},
        "split test: 2 of its images are also in split eval",
    ),
    "a class that production does not know": (
        *(Scripted(answers(TEST), FOUR), {}),
        r"^gate\.allow_new_classes: .* production does not have: blue; set it to true to allow them",
    ),
    "a class that the candidate lacks": (
        *(Scripted(answers(TEST, {p.number: "cyan" for p in TEST}), CLASSES[:2]), {}),
        "lacks these classes of the model in production: yellow",
    ),
}


@pytest.mark.parametrize("name", NEVER_JUDGED)
def test_a_meaningless_comparison_is_an_error(keeper, name):
    candidate, splits, message = NEVER_JUDGED[name]
    gatekeeper = keeper(PERFECT, **splits)
    with pytest.raises(EvaluationError, match=message):
        gatekeeper.judge(candidate)
    assert gatekeeper.versions == ["1"]


@pytest.mark.parametrize("spoil", [truncate, without_graph])
def test_a_candidate_that_cannot_be_loaded_is_an_error(keeper, spoil):
    gatekeeper = keeper(PERFECT)
    with pytest.raises(EvaluationError, match=r"Format-Serving: the candidate cannot be loaded: \S"):
        gatekeeper.judge(Scripted(answers(TEST)), spoil)
    assert gatekeeper.versions == ["1"]


@pytest.mark.parametrize(
    ("spoil", "message"), [(truncate, "are not the ones that were pushed"), (without_graph, "it has no saved_model.pb")]
)
def test_a_damaged_version_in_production_is_an_error_and_not_an_absent_one(keeper, spoil, message):
    gatekeeper = keeper(PERFECT)
    spoil(gatekeeper.serving / "1")
    with pytest.raises(BadInputError, match=message):
        gatekeeper.judge(Scripted(answers(TEST), probability=0.8))
    assert gatekeeper.versions == ["1"]


# name: candidate, production, gate, splits
SOUND = {
    "the first candidate of all": (PERFECT, None, {}, {}),
    "lower probabilities, the same accuracy": (Scripted(answers(TEST), probability=0.7), PERFECT, {}, {}),
    "equal to production, with mistakes on other images": (
        Scripted(answers(LARGE, wrong(LARGE, 20))),
        *(Scripted(answers(LARGE, wrong(LARGE, 20, start=100))), {}, {"test": LARGE}),
    ),
    "a small improvement": (
        Scripted(answers(LARGE, wrong(LARGE, 18))),
        *(Scripted(answers(LARGE, wrong(LARGE, 20))), {}, {"test": LARGE}),
    ),
    "a little worse, which chance explains with few images": (
        *(Scripted(answers(TEST, wrong(TEST, 2))), Scripted(answers(TEST)), {}, {}),
    ),
    "a new class where that is allowed, with the classes in another order": (
        Scripted(answers(WITH_BLUE), ("blue", *CLASSES)),
        *(PERFECT, {"allow_new_classes": True}, {"test": WITH_BLUE}),
    ),
    "proved to be better than production": (
        Scripted(answers(LARGE)),
        Scripted(answers(LARGE, wrong(LARGE, 60))),
        *({"judge": {"regression": "lower", "accuracy": "lower"}}, {"test": LARGE}),
    ),
    "no test image of a class, where that is allowed": (
        *(PERFECT, None, {"on_missing_class": "warn"}, {"test": [p for p in TEST if p.label != "cyan"]}),
    ),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_candidate_is_pushed(keeper, name):
    candidate, production, gate, splits = SOUND[name]
    gatekeeper = keeper(production, gate, **splits)
    before = gatekeeper.versions
    verdict = gatekeeper.judge(candidate)
    assert verdict.blessed, [check for check in verdict.checks if not check.passed]
    assert all(check.passed and check.margin >= 0 for check in verdict.checks)
    assert gatekeeper.versions == [*before, str(len(before) + 1)]
    assert (verdict.change is None) == (production is None)
    card = json.loads((gatekeeper.serving / gatekeeper.versions[-1] / CARD_JSON).read_text())
    assert card["quantitative_analysis"]["test"]["accuracy"] == verdict.accuracy


class OfAnEarlierRelease(Scripted):
    """Its class names take no input, and it has no warm-up requests."""

    @tf.function(input_signature=[])
    def names(self):
        return {signatures.CLASS_NAMES: tf.constant(self._classes)}

    def save(self, folder: Path) -> Path:
        (super().save(folder) / WARM_UP_FILE).unlink()
        return folder


def test_a_model_of_an_earlier_release_in_a_folder_with_a_padded_number_is_the_baseline(keeper):
    gatekeeper = keeper()
    OfAnEarlierRelease(answers(TEST, wrong(TEST, 2))).save(gatekeeper.serving / "00000041")
    assert gatekeeper.judge(PERFECT).change.value == pytest.approx(2 / len(TEST))
    assert gatekeeper.versions == ["00000041", "42"]
    assert ServingDirectory(gatekeeper.serving).manifest(42)["parent"] == 41


@pytest.mark.parametrize("warm_up", [True, False])
def test_warm_up_requests_are_pushed_unless_that_is_turned_off(keeper, warm_up):
    gatekeeper = keeper(push={"warm_up": warm_up})
    gatekeeper.judge(PERFECT)
    assert (gatekeeper.serving / "1" / WARM_UP_FILE).is_file() == warm_up
    assert ServingDirectory(gatekeeper.serving).damage(1) is None


def test_a_candidate_with_the_answers_of_production_is_nothing_new(keeper):
    gatekeeper = keeper(PERFECT)
    verdict = gatekeeper.judge(Scripted(answers(TEST)))
    assert verdict.blessed and verdict.same_answers_as == 1
    assert gatekeeper.versions == ["1"]


def test_two_models_that_are_both_sure_of_every_image_are_not_the_same(keeper):
    """Their probabilities differ by less than a millionth, and by a factor of 3."""
    gatekeeper = keeper(Scripted(answers(TEST), probability=1 - 1e-7))
    verdict = gatekeeper.judge(Scripted(answers(TEST), probability=1 - 3e-7))
    assert verdict.same_answers_as is None
    assert verdict.largest_difference == pytest.approx(np.log(3), rel=1e-3)
    assert gatekeeper.versions == ["1", "2"]


def test_the_reported_change_is_that_of_the_models_answers(keeper):
    gatekeeper = keeper(Scripted(answers(LARGE, wrong(LARGE, 30))), {"max_regression": 0.05}, test=LARGE)
    verdict = gatekeeper.judge(Scripted(answers(LARGE, wrong(LARGE, 50, start=30))))
    assert verdict.examples == 2100
    assert verdict.change.value == pytest.approx(-20 / 2100)
    assert verdict.change.disagreement == pytest.approx(80 / 2100)
    assert (verdict.change.lower, verdict.change.upper) == pytest.approx(confidence.change_bounds(30, 50, 2100, 0.95))
    assert verdict.change.probability == pytest.approx(confidence.change_probability(30, 50))
    assert verdict.accuracy_bounds == pytest.approx(confidence.share_bounds(2050, 2100, 0.95))
    assert {name: (row.recall, row.examples) for name, row in verdict.per_class.items()} == {
        name: (pytest.approx(right / 700), 700) for name, right in zip(CLASSES, (683, 683, 684), strict=True)
    }
