from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components import run_parameters
from config.classifier import ClassifierConfig
from config.errors import BadInputError
from config.gate import GateConfig
from config.run import RunConfig

CONFIG = RunConfig.model_validate(
    {
        "name": "test",
        "data": {"path": "photos", "schema": "facts.pbtxt"},
        "training": {
            "seed": 3,
            "head": {"epochs": 10, "learning_rate": 1e-3},
            "fine_tune": {"epochs": 5, "learning_rate": 1e-5},
        },
        "gate": {"min_accuracy": 0.95, "max_regression": 0.01, "min_recall": {"cyan": 0.5}},
    }
)
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
def test_given_values_replace_those_of_the_configuration_and_nothing_else(values):
    before = CONFIG.model_copy(deep=True)
    result = run_parameters.applied(CONFIG, values)
    assert before == CONFIG
    for name in run_parameters.PATHS:
        assert run_parameters.configured(result, name) == values.get(name, run_parameters.configured(CONFIG, name))
    restored = {name: run_parameters.configured(CONFIG, name) for name in values}
    assert run_parameters.applied(result, restored) == CONFIG


def test_every_parameter_has_its_place():
    assert set(LEGAL) == set(run_parameters.PATHS)
    for name in run_parameters.PATHS:
        assert run_parameters.configured(CONFIG, name) is not None


def test_parameters_of_other_sections_are_passed_over():
    assert run_parameters.applied(CONFIG.classifier, {"min_accuracy": 0.5, "data_path": "x"}) == CONFIG.classifier
    changed = run_parameters.applied(CONFIG.classifier, {"min_accuracy": 0.5, "head_epochs": 2})
    assert isinstance(changed, ClassifierConfig)
    assert changed.training.head.epochs == 2


def test_a_section_takes_its_own_parameters():
    values = {"min_accuracy": 0.5, "head_epochs": 2, "max_regression": None}
    changed = run_parameters.applied(CONFIG.gate, values, root=("gate",))
    assert changed == GateConfig(min_accuracy=0.5, max_regression=0.01, min_recall={"cyan": 0.5})


def test_whole_numbers_may_arrive_as_floating_point_numbers():
    assert run_parameters.applied(CONFIG, {"head_epochs": 4.0}).training.head.epochs == 4


def test_no_epochs_stand_for_auto():
    automatic = run_parameters.applied(CONFIG, {"head_epochs": 0.0})
    assert automatic.training.head.epochs == "auto"
    assert run_parameters.configured(automatic, "head_epochs") == 0
    assert run_parameters.configured(run_parameters.applied(CONFIG, {"data_path": "auto"}), "data_path") == "auto"


def test_a_phase_that_the_pipeline_lacks_cannot_be_given_epochs():
    training = {**CONFIG.training.model_dump(), "fine_tune": None}
    without = RunConfig.model_validate({"name": "test", "data": {"path": "photos"}, "training": training})
    assert run_parameters.configured(without, "fine_tune_epochs") is None
    with pytest.raises(BadInputError, match=r"fine_tune_epochs: this pipeline has no training\.fine_tune"):
        run_parameters.applied(without, {"fine_tune_epochs": 3})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("head_epochs", -2), ("head_epochs", 1.5), ("fine_tune_epochs", -1)),
        *(("head_learning_rate", 0.0), ("fine_tune_learning_rate", math.inf), ("head_learning_rate", math.nan)),
        *(("min_accuracy", 1.01), ("max_regression", -0.01), ("min_accuracy", math.nan), ("data_path", "")),
    ],
)
def test_values_out_of_range_are_refused_by_name(name, value):
    with pytest.raises(BadInputError, match=f"^{name}: .* Received: "):
        run_parameters.applied(CONFIG, {name: value})
