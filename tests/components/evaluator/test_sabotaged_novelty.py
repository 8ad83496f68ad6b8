"""A candidate that calls sound images unlike its training images is refused by `gate.max_false_rejects`."""

import numpy as np
import pytest
import tensorflow as tf
from gatekeeping import Gatekeeper, Scripted, answers, photos

from components.evaluator import predictions
from modules.serving import signatures

TEST = photos(30)
TRAIN = photos(4, start=5000)
BOUND = {"max_false_rejects": 0.05}


class WithNovelty(Scripted):
    """It answers right, with a novelty for each photo."""

    def __init__(self, novelty: np.ndarray):
        super().__init__(answers(TEST))
        self._novelty = tf.constant(novelty, tf.float32)

    def _answer(self, images):
        novelty = tf.gather(self._novelty, tf.maximum(self._numbers.lookup(images), 0))
        return {**super()._answer(images), signatures.NOVELTY: novelty, signatures.IN_SCOPE: novelty <= 0.5}


def rejecting(count: int) -> WithNovelty:
    """Rejects so many of the 90 photos, drawn at random."""
    chosen = np.random.default_rng(0).permutation(len(TEST)) < count
    return WithNovelty(np.where(chosen, 0.7, 0.3))


def judged(tmp_path, candidate, gate, production=None):
    keeper = Gatekeeper(tmp_path, gate, {"train": TRAIN, "eval": [], "test": TEST}, {})
    if production:
        keeper.put_in_production(production)
    verdict = keeper.judge(candidate)
    return verdict, {(check.metric, check.judged) for check in verdict.checks if not check.passed}


@pytest.mark.parametrize(
    ("candidate", "gate", "judge", "share"),
    [
        (rejecting(90), BOUND, "value", 1.0),
        (rejecting(6), BOUND, "value", 6 / 90),
        (WithNovelty(np.where(np.arange(90) % 10 == 0, np.nan, 0.1)), BOUND, "value", 0.1),
        (rejecting(4), {**BOUND, "judge": {"false_rejects": "upper"}}, "upper", 4 / 90),
        (Scripted(answers(TEST)), BOUND, "value", None),
    ],
    ids=["all", "a random share", "no numbers", "a share that few images cannot prove", "no such output"],
)
def test_a_candidate_that_rejects_sound_images_is_refused_for_that_reason(tmp_path, candidate, gate, judge, share):
    verdict, failed = judged(tmp_path, candidate, gate)
    assert not verdict.blessed and failed == {("false_rejects", judge)}
    assert verdict.false_rejects == (None if share is None else pytest.approx(share))


def test_a_sound_candidate_is_pushed_though_the_model_in_production_has_no_such_output(tmp_path):
    verdict, failed = judged(tmp_path, rejecting(4), BOUND, production=Scripted(answers(TEST), probability=0.8))
    assert verdict.blessed and failed == set() and verdict.false_rejects == pytest.approx(4 / 90)
    (evaluation,) = tmp_path.glob("*/evaluation")
    kept = predictions.read(str(evaluation))
    assert (kept.novelty > 0.5).sum() == 4 and kept.baseline is not None


def test_an_excess_that_chance_explains_passes_where_that_is_asked(tmp_path):
    _, failed = judged(tmp_path, rejecting(6), {**BOUND, "judge": {"false_rejects": "lower"}}, production=rejecting(9))
    assert failed == set()


@pytest.mark.parametrize(("before", "now", "is_same"), [(0.2, 0.2, True), (0.2, 0.3, False), (None, 0.2, False)])
def test_a_candidate_with_another_novelty_is_news_although_its_probabilities_are_the_same(
    tmp_path, before, now, is_same
):
    old, new = (
        Scripted(answers(TEST)) if value is None else WithNovelty(np.full(len(TEST), value)) for value in (before, now)
    )
    verdict, failed = judged(tmp_path, new, {}, production=old)
    assert not failed and (verdict.same_answers_as == 1) is is_same
