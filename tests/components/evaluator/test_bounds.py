"""The bounds that a run is given, against those of a configuration that says the same."""

from __future__ import annotations

import pytest
from tfx.components.evaluator import executor as _  # noqa: F401  first: TFMA can be imported only after it

# isort: split

from components.evaluator import bounds
from pipeline import thresholds
from pipeline.config import Gate, Judge, Slice

ELSEWHERE = {
    "min_recall": 0.7,
    "max_recall_regression": 0.2,
    "slices": [Slice(feature="image/format", min_accuracy=0.6, max_regression=0.3)],
}


@pytest.mark.parametrize("judged", ["value", "lower", "upper"])
@pytest.mark.parametrize(
    "given", [{"min_accuracy": 0.8}, {"max_regression": 0.05}, {"min_accuracy": 0.1, "max_regression": 0.0}]
)
def test_a_given_bound_is_as_if_the_configuration_had_said_it(given, judged):
    judge = Judge(accuracy=judged, regression=judged)
    said = thresholds.eval_config(Gate(**given, judge=judge, **ELSEWHERE))
    found = bounds.replaced(
        thresholds.eval_config(Gate(judge=judge, **ELSEWHERE)),
        given.get("min_accuracy"),
        given.get("max_regression"),
    )
    assert found == said


def test_nothing_given_changes_nothing():
    config = thresholds.eval_config(Gate(**ELSEWHERE))
    assert bounds.replaced(config, None, None) == config
