from __future__ import annotations

import copy
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components import run_parameters
from modules.errors import BadInputError

CONFIG = {
    "data": {"path": "photos"},
    "training": {
        "seed": 0,
        "head": {"epochs": 10, "learning_rate": 1e-3},
        "fine_tune": {"epochs": 5, "learning_rate": 1e-5},
    },
    "gate": {"min_accuracy": 0.95, "max_regression": 0.01},
}
LEGAL = {
    "data_path": st.text(min_size=1),
    "head_epochs": st.integers(1, 10**6),
    "head_learning_rate": st.floats(1e-9, 1e3),
    "fine_tune_epochs": st.integers(1, 10**6),
    "fine_tune_learning_rate": st.floats(1e-9, 1e3),
    "min_accuracy": st.floats(0, 1),
    "max_regression": st.floats(0, 1),
}


@given(st.fixed_dictionaries({}, optional=LEGAL))
def test_what_is_given_replaces_what_was_said_and_nothing_else(values):
    before = copy.deepcopy(CONFIG)
    result = run_parameters.applied(CONFIG, values)
    assert before == CONFIG
    for name in run_parameters.PATHS:
        assert run_parameters.value(result, name) == values.get(name, run_parameters.value(CONFIG, name))
    assert result["training"]["seed"] == 0


def test_every_parameter_has_its_place():
    assert set(LEGAL) == set(run_parameters.PATHS)


def test_sections_that_are_not_there_are_passed_over():
    assert run_parameters.applied({"training": CONFIG["training"]}, {"min_accuracy": 0.5}) == {
        "training": CONFIG["training"]
    }


def test_a_phase_that_the_pipeline_hasnt_cant_be_given_epochs():
    without = {"training": {**CONFIG["training"], "fine_tune": None}}
    assert run_parameters.value(without, "fine_tune_epochs") is None
    with pytest.raises(BadInputError, match=r"fine_tune_epochs: this pipeline has no training\.fine_tune"):
        run_parameters.applied(without, {"fine_tune_epochs": 3})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("head_epochs", 0), ("head_epochs", 1.5), ("fine_tune_epochs", -1)),
        *(("head_learning_rate", 0.0), ("fine_tune_learning_rate", math.inf), ("head_learning_rate", math.nan)),
        *(("min_accuracy", 1.01), ("max_regression", -0.01), ("min_accuracy", math.nan), ("data_path", "")),
    ],
)
def test_what_is_out_of_range_is_refused_by_name(name, value):
    with pytest.raises(BadInputError, match=f"^{name}: .* Received: "):
        run_parameters.applied(CONFIG, {name: value})
