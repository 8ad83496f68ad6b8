"""From right and wrong answers to figures and checks.

All checks of a stress test share its error: each is made at a confidence of 1 - (1 - gate.confidence) / checks
(Bonferroni). So a model that keeps all bounds is refused by the test at most as often as `gate.confidence` says,
however the corruptions depend on each other. Holm's procedure refuses the same models, since one failed check is
enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.optimize
import scipy.stats

from components.evaluator import confidence
from components.evaluator.estimates import Estimate
from components.evaluator.metric_names import Metric
from components.evaluator.stress.figures import MEAN, CorruptionFigures, StressFigures
from components.evaluator.verdict import AT_LEAST, AT_MOST, STRESS, Check
from config.gate import GateConfig, JudgedBy

NOTABLE = 0.05  # a regression that exceeds a smaller bound by this much is worth detecting
_SIDE_OF_FALL: dict[JudgedBy, JudgedBy] = {"value": "value", "upper": "lower", "lower": "upper"}  # a fall is -change


@dataclass(frozen=True)
class Answers:
    """Which images a model recognises.

    Attributes:
      clean: bool [images], without corruption.
      corrupted: bool [images, corruptions].
    """

    clean: np.ndarray
    corrupted: np.ndarray


def measure(
    candidate: Answers, baseline: Answers | None, corruptions: Sequence[str], gate: GateConfig
) -> StressFigures | None:
    """The figures of a stress test; None without images.

    Args:
      candidate: its answers.
      baseline: those of the model in production to the same images; None without one.
      corruptions: names, in the order of the answers.
      gate: with a section `stress`.
    """
    stress, images = gate.stress, len(candidate.clean)
    assert stress is not None
    if not images:
        return None
    sure = _confidence_of_each(gate, len(corruptions), baseline is not None)
    rows = [_row(candidate, baseline, index, name, sure) for index, name in enumerate(corruptions)]
    smallest, worth, needed = None, None, None
    if baseline is not None and stress.max_regression is not None:
        differs = float((candidate.corrupted != baseline.corrupted).mean())
        smallest = smallest_change(differs, images, sure)
        worth = max(NOTABLE, stress.max_regression)
        needed = confidence.images_to_see_change(worth, differs, sure)
    return StressFigures(
        images=images,
        severity=stress.severity,
        confidence=sure,
        accuracy=_share(candidate.clean),
        baseline_accuracy=None if baseline is None else _share(baseline.clean),
        corruptions=rows,
        mean=_mean(candidate, baseline, sure),
        smallest_change=smallest,
        worth_detecting=worth,
        images_needed=needed,
    )


def checks(
    figures: StressFigures | None, corruptions: Sequence[str], gate: GateConfig, compare: bool
) -> Iterator[Check]:
    """The checks that the section `gate.stress` asks for; each fails if nothing was measured.

    Args:
      figures: what was measured; None if there was no image.
      corruptions: names.
      gate: with a section `stress`.
      compare: whether there is a model in production.
    """
    stress, judged = gate.stress, gate.judge.regression
    assert stress is not None
    rows = {row.corruption: row for row in figures.rows} if figures else {}
    for name in (*corruptions, MEAN):
        row, slice_ = rows.get(name), f"{STRESS}{name}"
        bound = stress.max_mean_fall if name == MEAN else stress.max_fall
        if bound is not None:
            side = _SIDE_OF_FALL[judged]
            fall = row.fall.judged_by(side) if row else None
            yield Check.of(Metric.STRESS_FALL, fall, AT_MOST, bound, slice_, side)
        if compare and stress.max_regression is not None:
            change = row.change.judged_by(judged) if row and row.change else None
            yield Check.of(Metric.STRESS_CHANGE, change, AT_LEAST, -stress.max_regression, slice_, judged)


def mean_estimate(differences: np.ndarray, sure: float) -> Estimate:
    """A mean over images, with Student's t bounds; they are -1 and 1 with fewer than two images.

    Args:
      differences: float [images], each in [-1, 1].
      sure: confidence of each bound.
    """
    value = float(differences.mean())
    if len(differences) < 2:
        return Estimate(value, -1.0, 1.0)
    error = float(scipy.stats.sem(differences) * scipy.stats.t.ppf(sure, len(differences) - 1))
    return Estimate(value, max(-1.0, value - error), min(1.0, value + error))


def smallest_change(differs: float, images: int, sure: float) -> float:
    """The smallest change of an accuracy that so many images detect in 4 of 5 cases; 1 if they detect none.

    Args:
      differs: share of the images that one of the two models recognises and the other does not.
      images: how many.
      sure: confidence of the bound that must be beyond zero.
    """

    def excess(change: float) -> float:
        return confidence.images_to_see_change(change, differs, sure) - images

    return 1.0 if excess(1.0) > 0 else float(scipy.optimize.brentq(excess, 1e-4, 1.0, xtol=1e-4))


def _confidence_of_each(gate: GateConfig, corruptions: int, compare: bool) -> float:
    """The confidence of each check; with value judged there are no bounds, and these are for people to read."""
    stress = gate.stress
    assert stress is not None
    of_falls = corruptions * (stress.max_fall is not None) + (stress.max_mean_fall is not None)
    of_changes = (corruptions + 1) * (compare and stress.max_regression is not None)
    return 1 - (1 - gate.confidence) / max(1, of_falls + of_changes)


def _row(candidate: Answers, baseline: Answers | None, index: int, name: str, sure: float) -> CorruptionFigures:
    now = candidate.corrupted[:, index]
    fall = confidence.paired(now, candidate.clean, sure)
    if baseline is None:
        return CorruptionFigures(name, _share(now), fall)
    before = baseline.corrupted[:, index]
    return CorruptionFigures(name, _share(now), fall, _share(before), confidence.paired(before, now, sure))


def _mean(candidate: Answers, baseline: Answers | None, sure: float) -> CorruptionFigures:
    """The images are the same under all corruptions, so each image counts once, with its average."""
    now = candidate.corrupted.mean(axis=1)
    fall = mean_estimate(candidate.clean - now, sure)
    if baseline is None:
        return CorruptionFigures(MEAN, _share(now), fall)
    before = baseline.corrupted.mean(axis=1)
    return CorruptionFigures(MEAN, _share(now), fall, _share(before), mean_estimate(now - before, sure))


def _share(right: np.ndarray) -> float:
    return float(right.mean())
