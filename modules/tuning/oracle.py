"""Which trial comes next: random values on the first rung, and the best trials of a rung on the next one."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras_tuner
import numpy as np

from config import search_space
from config.classifier import ClassifierConfig
from config.search_space import HEAD_KIND, Space
from modules.tuning import values
from modules.tuning.rungs import TRIALS_PER_HEAD, Rung

OBJECTIVE = "log_loss"
CONFIGURED = 0  # the candidate that is the configuration as it is
SECONDS = "seconds"  # the metric that says how long a trial took
CANDIDATE, RUNG = "tuner/candidate", "tuner/rung"  # as keras-tuner names what Hyperband notes with a trial's values
_DRAWS = 50  # per trial, to find values that no other trial has


class SuccessiveHalving(keras_tuner.Oracle):
    """Runs all candidates on the first rung, and the best of each rung, and the configuration, on the next.

    keras-tuner's own Hyperband has no fixed number of trials, and counts in epochs alone. A trial of keras-tuner is one
    candidate on one rung.
    """

    def __init__(self, candidates: Sequence[Mapping[str, Any]], rungs: Sequence[Rung], seconds: float | None):
        """Makes an oracle.

        Args:
          candidates: values by path, see `draw`.
          rungs: as rungs.plan gives them.
          seconds: that all trials together may take; None for no limit.
        """
        most = sum(rung.trials for rung in rungs)
        super().__init__(objective=keras_tuner.Objective(OBJECTIVE, "min"), max_trials=most, seed=1)
        self.verbose = 0
        self._candidates, self._rungs, self._seconds = candidates, rungs, seconds

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """The next trial; called by keras-tuner."""
        if self._seconds is not None and self.elapsed() >= self._seconds:
            return {"status": "STOPPED"}
        for number, rung in enumerate(self._rungs):
            started = {trial.hyperparameters.values[CANDIDATE] for trial in self.on_rung(number)}
            chosen = self._promoted(number - 1, rung.trials) if number else range(len(self._candidates))
            for candidate in chosen:
                if candidate not in started:
                    own = values.encoded(self._candidates[candidate])
                    return {"status": "RUNNING", "values": {**own, CANDIDATE: candidate, RUNG: number}}
            if len(self.scores(number)) < len(started):  # another worker has not ended its trial
                return {"status": "IDLE"}
        return {"status": "STOPPED"}

    @property
    def rungs(self) -> int:
        """How many there are."""
        return len(self._rungs)

    def on_rung(self, number: int) -> list[Any]:
        """The trials of a rung, in the order in which they began."""
        trials = (self.trials[trial_id] for trial_id in self.start_order)
        return [trial for trial in trials if trial.hyperparameters.values[RUNG] == number]

    def scores(self, number: int) -> dict[int, float]:
        """Candidate to score on a rung, of those that have ended."""
        ended = [trial for trial in self.on_rung(number) if trial.status == "COMPLETED"]
        return {trial.hyperparameters.values[CANDIDATE]: float(trial.score) for trial in ended}

    def elapsed(self) -> float:
        """Seconds that all trials that have ended took."""
        ended = (trial for trial in self.trials.values() if trial.metrics.exists(SECONDS))
        return float(sum(trial.metrics.get_best_value(SECONDS) for trial in ended))

    def seconds(self, candidate: int) -> float:
        """Seconds that all trainings of a candidate took."""
        own = (t for t in self.trials.values() if t.hyperparameters.values[CANDIDATE] == candidate)
        return float(sum(trial.metrics.get_best_value(SECONDS) for trial in own if trial.metrics.exists(SECONDS)))

    def _promoted(self, number: int, count: int) -> list[int]:
        """The configuration first, because the others are compared with it; it takes one place."""
        scores = {c: score for c, score in self.scores(number).items() if np.isfinite(score)}
        return sorted(scores, key=lambda candidate: (candidate != CONFIGURED, scores[candidate], candidate))[:count]


def draw(config: ClassifierConfig, space: Space, trials: int, seed: int) -> list[dict[str, Any]]:
    """The values of each trial: first those of the configuration, then random ones.

    Args:
      config: without any value of the search.
      space: the values to try, by path.
      trials: how many there are at most; a small space may have fewer combinations.
      seed: another one gives other values.

    Returns:
      values by path. So many trials as TRIALS_PER_HEAD says have the same values of phase 1, where phase 2 has values
      to search. Options that mean nothing beside the others are left out.
    """
    rng = np.random.default_rng(seed)
    found = [search_space.configured(config, space)]
    known = {json.dumps(found[0], sort_keys=True)}
    heads = [search_space.of_phase_1(found[0])]
    for attempt in range(_DRAWS * trials):
        if len(found) == trials:
            break
        chosen = _random(space, rng)
        own = search_space.of_phase_1(chosen)
        if len(chosen) > len(own) and attempt < _DRAWS * trials // 2:  # else there are too few values for phase 2
            number = len(found) % math.ceil(trials / TRIALS_PER_HEAD)
            if number == len(heads):
                heads.append({**own, **_kind_in_turn(space, number, found[0])})
            chosen = {**{path: value for path, value in chosen.items() if path not in own}, **heads[number]}
        used = search_space.used(config, chosen)
        text = json.dumps(used, sort_keys=True)
        if text not in known:
            known.add(text)
            found.append(used)
    return found


def _random(space: Space, rng: np.random.Generator) -> dict[str, Any]:
    return {path: allowed[rng.integers(len(allowed))] for path, allowed in space.items()}


def _kind_in_turn(space: Space, number: int, first: Mapping[str, Any]) -> dict[str, Any]:
    """A kind of head, so that each is tried about as often as the others; the first trial has one already."""
    kinds = sorted(space.get(HEAD_KIND, []), key=lambda kind: kind == first.get(HEAD_KIND))
    return {HEAD_KIND: kinds[(number - 1) % len(kinds)]} if kinds else {}
