"""Checks that TFMA does not make: how a value is compared, and what becomes of the verdict and the blessing."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest
from tfx.types import standard_artifacts

from components.evaluator import blessing, verdict
from components.evaluator.metric_names import Metric
from components.evaluator.stress.figures import CorruptionFigures, Estimate, StressFigures
from components.evaluator.verdict import AT_LEAST, AT_MOST, Change, Check, ProbeFigures, Verdict


@pytest.mark.parametrize(
    ("value", "wanted", "passes"),
    [
        (0.9, AT_LEAST, True),  # the bound itself passes
        (0.89, AT_LEAST, False),
        (0.9, AT_MOST, True),
        (0.91, AT_MOST, False),
        (math.nan, AT_LEAST, False),
        (math.nan, AT_MOST, False),
        (None, AT_LEAST, False),  # what was not measured never passes
        (None, AT_MOST, False),
    ],
)
def test_check_compares_its_value_with_the_bound(value, wanted, passes):
    assert Check.of(Metric.ACCURACY, value, wanted, 0.9).passed is passes


def _verdict(blessed: bool) -> Verdict:
    change = Change(0.0, -0.1, 0.1, 1.0, 0.0)
    return Verdict(blessed, 10, 0.9, (0.8, 0.95), change, 0.95, [Check.of(Metric.ACCURACY, 0.9, AT_LEAST, 0.5)], {})


@pytest.mark.parametrize(("before", "value", "after"), [(True, 0.9, True), (True, 0.1, False), (False, 0.9, False)])
def test_verdict_is_blessed_only_if_the_further_checks_passed_too(before, value, after):
    found = _verdict(before).with_checks([Check.of(Metric.ACCURACY, value, AT_LEAST, 0.5, "image/label=cat")])

    assert found.blessed is after
    assert [check.slice for check in found.checks] == ["overall", "image/label=cat"]


def test_withdrawn_blessing_is_a_refusal_to_tfx(tmp_path: Path):
    artifact = standard_artifacts.ModelBlessing()
    artifact.uri = str(tmp_path)
    (tmp_path / "BLESSED").write_text("")
    artifact.set_int_custom_property("blessed", 1)

    blessing.withdraw(artifact)

    assert [path.name for path in tmp_path.iterdir()] == ["NOT_BLESSED"]
    assert artifact.get_int_custom_property("blessed") == 0


def test_figures_of_later_releases_are_kept_and_a_verdict_without_them_is_read(tmp_path: Path):
    row = CorruptionFigures("blur", 0.8, Estimate(0.1, 0.05, 0.2), 0.9, Estimate(-0.1, -0.2, 0.0))
    mean = CorruptionFigures("mean", 0.8, Estimate(0.1, 0.05, 0.2))
    probe = ProbeFigures(0.9, 50, 3, 0.1, "eval", Change(0.0, -0.1, 0.1, 1.0, 0.0))
    stress = StressFigures(20, 3, 0.99, 0.9, None, [row], mean, 0.1, 0.05, 400)
    found = dataclasses.replace(_verdict(True), stress=stress, probe=probe)

    verdict.write(found, tmp_path)
    assert verdict.load(tmp_path) == found

    content = json.loads((tmp_path / verdict.FILE).read_text())
    del content["stress"], content["probe"]
    (tmp_path / verdict.FILE).write_text(json.dumps(content))
    assert verdict.load(tmp_path) == _verdict(True)
