"""What a search found: `trials.json` for programs, a table for a person."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

from modules.files import atomic_write
from modules.tuning import values
from modules.tuning.choice import Choice
from modules.tuning.oracle import CONFIGURED, SuccessiveHalving
from modules.tuning.rungs import Rung

_log = logging.getLogger("regraft.tuner")

TRIALS = "trials.json"
FINISHED, STOPPED, DIVERGED, NOT_RUN = "finished", "stopped", "diverged", "not run"


def collect(
    oracle: SuccessiveHalving, candidates: Sequence[Mapping[str, Any]], rungs: Sequence[Rung], choice: Choice
) -> dict[str, Any]:
    """What `trials.json` holds; docs/output.md documents it.

    Args:
      oracle: of a search that has ended.
      candidates: the values of each trial.
      rungs: the plan of the search.
      choice: the best trial.
    """
    trials = [_trial(oracle, number, candidate, rungs) for number, candidate in enumerate(candidates)]
    return {
        "best": choice.candidate + 1,
        "values": dict(candidates[choice.candidate]),
        "compared": None
        if choice.rival is None
        else {"trial": choice.rival + 1, "gain": choice.gain, "standard_error": choice.error},
        "rungs": [{"trials": rung.trials, "share": rung.share, "folds": rung.folds} for rung in rungs],
        "trials": trials,
    }


def _trial(
    oracle: SuccessiveHalving, number: int, candidate: Mapping[str, Any], rungs: Sequence[Rung]
) -> dict[str, Any]:
    by_rung = [oracle.scores(rung).get(number) for rung in range(len(rungs))]
    reached = [(rung, score) for rung, score in enumerate(by_rung) if score is not None]
    rung, score = reached[-1] if reached else (-1, None)
    if score is None:
        state = NOT_RUN
    elif not math.isfinite(score):
        state, score = DIVERGED, None
    else:
        state = FINISHED if rung == len(rungs) - 1 else STOPPED
    return {
        "trial": number + 1,
        "values": dict(candidate),
        "state": state,
        "log_loss": score,
        "rung": rung + 1,
        "seconds": round(oracle.seconds(number), 1),
    }


def write(found: Mapping[str, Any], path: str) -> None:
    """Writes `trials.json`."""
    atomic_write(path, json.dumps(found, indent=2) + "\n")


def log_table(found: Mapping[str, Any]) -> None:
    """A line for each trial, the best first. A log loss can be compared with those of the same rung."""
    _log.info("  trial  log loss  rung  seconds  state     values")
    for trial in sorted(found["trials"], key=_place):
        score = "-" if trial["log_loss"] is None else f"{trial['log_loss']:.4f}"
        _log.info(
            "  %5d  %8s  %4d  %7.1f  %-8s  %s",
            *(trial["trial"], score, trial["rung"], trial["seconds"], trial["state"]),
            values.described(trial["values"]),
        )
    if compared := found["compared"]:
        _log.info(
            "  trial %d has a log loss that is %s by %.4f than the configuration's (standard error %.4f)",
            *(compared["trial"], "lower" if compared["gain"] > 0 else "higher"),
            *(abs(compared["gain"]), compared["standard_error"]),
        )
    kept = found["best"] == CONFIGURED + 1
    _log.info("  best: trial %d%s", found["best"], ", the configuration" if kept else "")


def _place(trial: Mapping[str, Any]) -> tuple[float, float]:
    return -trial["rung"], math.inf if trial["log_loss"] is None else trial["log_loss"]
