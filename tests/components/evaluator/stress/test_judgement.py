"""The statistics of the stress test, on simulated answers: how often sound and broken models are refused."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import scipy.stats

from benchmarks.simulated_answers import drawn
from components.evaluator import confidence
from components.evaluator.stress import judgement
from components.evaluator.stress.corruptions import CORRUPTIONS
from config.gate import GateConfig

NAMES = list(CORRUPTIONS)
RUNS = 200
ACCURACIES = [0.9, 0.8, 0.7, 0.85, 0.6, 0.88, 0.8, 0.75]  # of one model under each corruption; 0.95 without


@pytest.fixture(scope="module", autouse=True)
def quick_bounds():
    """The same counts come up again and again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(confidence, "change_bounds", functools.cache(confidence.change_bounds))
        yield


def gate(**stress) -> GateConfig:
    return GateConfig.model_validate({"stress": stress})


def refusals(config: GateConfig, candidate: list[float], images: int) -> list[set[tuple[str, str]]]:
    """The failed checks of each run; production has ACCURACIES."""
    found = []
    for seed in range(RUNS):
        now, before = drawn(images, [0.95, *candidate], [0.95, *ACCURACIES], seed)
        figures = judgement.measure(now, before, NAMES, config)
        made = judgement.checks(figures, NAMES, config, compare=True)
        found.append({(check.metric, check.slice) for check in made if not check.passed})
    return found


def allowed(expected: float) -> float:
    """The most refusals that chance gives at this rate, in 999 of 1000 repetitions of a test."""
    return scipy.stats.binom.ppf(0.999, RUNS, expected) / RUNS


def test_a_model_exactly_at_every_bound_is_refused_at_most_at_the_stated_rate():
    falls = [0.95 - share for share in ACCURACIES]
    config = gate(max_fall=max(falls), max_mean_fall=float(np.mean(falls)), max_regression=0.0)
    share = np.mean([bool(failed) for failed in refusals(config, ACCURACIES, 160)])
    assert share <= allowed(0.05)


def test_a_model_five_points_worse_under_blur_is_caught_19_times_of_20_with_800_images():
    worse = [share - 0.05 * (name == "blur") for name, share in zip(NAMES, ACCURACIES, strict=True)]
    found = refusals(gate(max_regression=0.0), worse, 800)
    assert np.mean([("stress_change", "stress=blur") in failed for failed in found]) >= 0.95
    others = [{slice_ for _, slice_ in failed} - {"stress=blur", "stress=mean"} for failed in found]
    assert np.mean(list(map(bool, others))) <= allowed(0.05)


def test_the_average_detects_what_no_single_corruption_does():
    worse = [share - 0.05 for share in ACCURACIES]
    found = refusals(gate(max_regression=0.0), worse, 160)
    assert np.mean([("stress_change", "stress=mean") in failed for failed in found]) >= 0.8
    for name in NAMES:
        assert np.mean([("stress_change", f"stress={name}") in failed for failed in found]) <= 0.5


def test_as_many_images_as_the_warning_says_detect_the_regression():
    config = gate(max_regression=0.05)
    worse = [share - 0.1 * (name == "blur") for name, share in zip(NAMES, ACCURACIES, strict=True)]
    few = judgement.measure(*drawn(160, [0.95, *worse], [0.95, *ACCURACIES], 0), NAMES, config)
    assert few.images_needed > 160 and few.smallest_change > few.worth_detecting == 0.05
    found = refusals(config, worse, few.images_needed)
    # The warning assumes that the models differ on as few images under blur as under the other corruptions.
    assert 0.65 <= np.mean([("stress_change", "stress=blur") in failed for failed in found]) <= 0.95


def test_what_was_not_measured_fails():
    nothing = judgement.Answers(np.zeros(0, bool), np.zeros((0, 8), bool))
    config = gate(max_fall=1.0, max_mean_fall=1.0, max_regression=1.0)
    figures = judgement.measure(nothing, nothing, NAMES, config)
    made = list(judgement.checks(figures, NAMES, config, compare=True))
    assert len(made) == 18 and not any(check.passed for check in made)


@pytest.mark.parametrize(("judged", "lower"), [("value", 0), ("upper", -1), ("lower", 1)])
def test_the_gate_decides_which_number_is_judged(judged, lower):
    """`upper` is lenient in both directions, `lower` is strict."""
    config = GateConfig.model_validate({"stress": {"max_fall": 0.5}, "judge": {"regression": judged}})
    figures = judgement.measure(*drawn(160, [0.95, *ACCURACIES], [0.95, *ACCURACIES], 0), NAMES, config)
    fall = next(check for check in judgement.checks(figures, NAMES, config, True) if check.metric == "stress_fall")
    change = next(check for check in judgement.checks(figures, NAMES, config, True) if check.metric == "stress_change")
    row = figures.corruptions[0]
    assert np.sign(fall.value - row.fall.value) == lower
    assert np.sign(change.value - row.change.value) == -lower
