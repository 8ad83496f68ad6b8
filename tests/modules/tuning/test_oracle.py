"""Which trial comes next, also after the process was killed."""

import json
import math

import pytest

from config import search_space
from config.run import RunConfig
from modules.tuning import oracle, rungs
from modules.tuning.oracle import CANDIDATE, OBJECTIVE, RUNG, SECONDS, SuccessiveHalving

CANDIDATES = [
    {"head.kind": "dense"},
    {"head.kind": "conv", "head.filters": [8, 4]},
    *({"head.units": n} for n in range(6)),
]
PLAN = rungs.plan(len(CANDIDATES), 1000, 10, False)  # 8 trials, then 2


def opened(folder, seconds=None) -> SuccessiveHalving:
    made = SuccessiveHalving(CANDIDATES, PLAN, seconds)
    made._set_project_dir(str(folder), "search")
    if (folder / "search" / "oracle.json").exists():
        made.reload()
    return made


def run(search: SuccessiveHalving, score, most: int | None = None) -> list[tuple[int, int]]:
    """Runs trials to the end, or so many; gives candidate and rung of each."""
    ran = []
    while most is None or len(ran) < most:
        trial = search.create_trial("tuner0")
        if trial.status == "STOPPED":
            break
        values = trial.hyperparameters.values
        ran.append((values[CANDIDATE], values[RUNG]))
        search.update_trial(trial.trial_id, {OBJECTIVE: score(*ran[-1]), SECONDS: 2.0})
        trial.status = "COMPLETED"
        search.end_trial(trial)
        search.save()  # as keras-tuner's tuner does
    return ran


def test_all_run_once_and_the_best_go_on(tmp_path):
    search = opened(tmp_path)
    ran = run(search, lambda candidate, rung: abs(candidate - 5) - 10 * rung)
    assert ran[:8] == [(candidate, 0) for candidate in range(8)]
    assert ran[8:] == [(0, 1), (5, 1)]  # the configuration, and the best of the others
    assert search.seconds(5) == 4.0 and search.seconds(1) == 2.0


def test_a_trial_that_diverged_does_not_go_on(tmp_path):
    search = opened(tmp_path)
    ran = run(search, lambda candidate, rung: math.inf if candidate < 7 else 3.0)
    assert ran[8:] == [(7, 1)]


@pytest.mark.parametrize("killed_after", [3, 8, 9])
def test_a_search_goes_on_after_a_kill(tmp_path, killed_after):
    def score(candidate, rung):
        return abs(candidate - 5) - 10 * rung

    whole = run(opened(tmp_path / "whole"), score)
    first = opened(tmp_path / "killed")
    before = run(first, score, most=killed_after)
    begun = first.create_trial("tuner0").hyperparameters.values  # and the process dies
    second = opened(tmp_path / "killed")
    after = run(second, score)
    assert after[0] == (begun[CANDIDATE], begun[RUNG])
    assert before + after == whole
    assert second.elapsed() == 2.0 * len(whole)


def test_no_trial_begins_after_the_time_is_over(tmp_path):
    search = opened(tmp_path, seconds=5.0)
    assert len(run(search, lambda candidate, rung: float(candidate))) == 3
    assert opened(tmp_path, seconds=5.0).create_trial("tuner0").status == "STOPPED"  # time before a kill counts


def classifier_and_space(**tuner):
    config = RunConfig.model_validate({"name": "fruit", "data": {"path": "photos"}, "tuner": tuner})
    return config.classifier, config.search_space


def test_trials_differ_and_begin_with_the_configuration():
    config, space = classifier_and_space()
    drawn = oracle.draw(config, space, 20, seed=0)
    assert len({json.dumps(values, sort_keys=True) for values in drawn}) == 20
    assert (drawn[0]["head.kind"], drawn[0]["training.fine_tune.learning_rate"]) == ("conv", 4e-4)
    assert {values["head.kind"] for values in drawn} == {"dense", "hidden", "conv"}
    assert all(("head.units" in values) == (values["head.kind"] == "hidden") for values in drawn)
    assert drawn == oracle.draw(config, space, 20, seed=0) != oracle.draw(config, space, 20, seed=1)


def test_trials_share_heads_where_phase_2_is_searched():
    config, space = classifier_and_space()
    drawn = oracle.draw(config, space, 20, seed=0)
    heads = [json.dumps(search_space.of_phase_1(values)) for values in drawn]
    assert sorted(heads.count(head) for head in set(heads)) == [4] * 5
    kinds = {json.loads(head)["head.kind"] for head in heads}
    assert kinds == {"dense", "hidden", "conv"}


def test_a_small_space_has_fewer_trials():
    config, space = classifier_and_space(search={"head.kind": ["dense", "conv"], "head.dropout": [0.1, 0.2]})
    assert len(oracle.draw(config, space, 20, seed=0)) == 5  # four, and the configuration with dropout 0.3
