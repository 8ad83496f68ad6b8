"""The thresholds of the gate, and the parameters of a run that replace its bounds."""

from __future__ import annotations

import json

import pytest
import tfx.components.evaluator.executor  # noqa: F401  first: on Python 3.11, TFMA can be imported only after it

# isort: split

import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_specs

from components.evaluator import executor, metrics, thresholds
from components.evaluator.component import Evaluator
from components.evaluator.metric_names import Metric
from config.errors import BadInputError
from config.gate import GateConfig, Judge, Slice

OTHER_BOUNDS = {
    "min_recall": 0.7,
    "max_recall_regression": 0.2,
    "slices": [Slice(feature="image/format", min_accuracy=0.6, max_regression=0.3)],
}


@pytest.mark.parametrize("judged", ["value", "lower", "upper"])
@pytest.mark.parametrize(
    "given", [{"min_accuracy": 0.8}, {"max_regression": 0.05}, {"min_accuracy": 0.1, "max_regression": 0.0}]
)
def test_a_parameter_of_the_run_gives_the_thresholds_of_a_configuration_with_that_value(given, judged):
    judge = Judge(accuracy=judged, regression=judged)
    configured = GateConfig(**given, judge=judge, **OTHER_BOUNDS)
    gate = executor.gate_of({"gate": GateConfig(judge=judge, **OTHER_BOUNDS).serialized(), **given})
    assert gate == configured
    assert thresholds.eval_config(gate) == thresholds.eval_config(configured)


def test_without_parameters_the_configuration_is_used():
    gate = GateConfig(**OTHER_BOUNDS)
    properties = {"gate": gate.serialized(), "min_accuracy": None}
    assert executor.gate_of(properties) == gate
    with pytest.raises(BadInputError, match=r"^min_accuracy: .*Received: 1\.5"):
        executor.gate_of({**properties, "min_accuracy": 1.5})


@pytest.mark.parametrize("bound", [0.0, 0.5, 0.95, 1.0])
def test_bounds_survive_the_way_through_tfmas_thresholds(bound):
    gate = GateConfig(
        min_accuracy=bound,
        max_regression=bound,
        max_calibration_error=bound,
        max_false_rejects=bound,
        min_test_examples=30,
    )
    config = tfma.utils.update_eval_config_with_defaults(thresholds.eval_config(gate), has_baseline=True)
    by_metric = metric_specs.metric_thresholds_from_metrics_specs(config.metrics_specs, eval_config=config)
    bounds = {key.name: thresholds.bound_of(threshold) for key, ((_, threshold),) in by_metric.items()}
    assert bounds == {
        Metric.EXAMPLE_COUNT: ("at least", 30),
        Metric.RAREST_CLASS_EXAMPLES: ("at least", 1),
        Metric.VALID: ("at least", 1),
        Metric.SPREAD: ("at least", 1e-4),
        Metric.ACCURACY: ("at least", bound),
        Metric.ACCURACY_CHANGE_UPPER: ("at least", -bound),
        Metric.CALIBRATION_ERROR: ("at most", bound),
        Metric.FALSE_REJECTS: ("at most", bound),
    }


def test_every_metric_has_one_name_and_one_source():
    names = [
        json.loads(metric.config)["name"] for metric in thresholds.eval_config(GateConfig()).metrics_specs[0].metrics
    ]
    beside_tfma = {Metric.STRESS_FALL, Metric.STRESS_CHANGE, Metric.PROBE_DIFFERENCE, Metric.AGREEMENT}
    beside_tfma |= {Metric.EXPORT_ACCURACY_CHANGE, Metric.PROBABILITY_DIFFERENCE, Metric.FILE_BYTES, Metric.P50_MS}
    assert sorted(names) == sorted(set(Metric) - beside_tfma)
    assert not metrics.MEASURES.keys() & metrics.COMPARISONS.keys()


def test_a_metric_and_what_is_judged_of_it_are_told_by_its_name():
    for metric in (Metric.ACCURACY, Metric.ACCURACY_CHANGE, Metric.FALSE_REJECTS):
        for judged in ("value", "lower", "upper"):
            assert metric.judged_by(judged).unjudged() == (metric, judged)
    assert Metric("accuracy_change_lower") is Metric.ACCURACY_CHANGE.judged_by("lower")
    assert Metric.ACCURACY_CHANGE_PROBABILITY.unjudged() == (Metric.ACCURACY_CHANGE_PROBABILITY, "value")


def test_the_stage_is_given_the_gate_and_its_code():
    from tfx.types import channel, standard_artifacts

    gate = GateConfig(**OTHER_BOUNDS)
    stage = Evaluator(
        examples=channel.Channel(type=standard_artifacts.Examples),
        model=channel.Channel(type=standard_artifacts.Model),
        baseline_model=channel.Channel(type=standard_artifacts.Model),
        gate=gate,
        example_splits=["test"],
    )
    assert GateConfig.parse(stage.exec_properties["gate"]) == gate
    assert len(stage.exec_properties["code_digest"]) == 64
    assert "eval_config" not in stage.exec_properties
