"""The calibration error with and without the temperature, from the answers that are kept."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline import calibration
from pipeline.report.predicted import Answers


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_answers_before_the_temperature_are_restored(temperature):
    logits = np.random.default_rng(0).normal(scale=3, size=(50, 4))
    served = softmax(logits / temperature).astype(np.float32)

    restored = calibration.without_temperature(served, temperature)

    np.testing.assert_allclose(restored, softmax(logits), atol=1e-5)


def test_a_right_temperature_lowers_the_error_and_the_text_says_so():
    rng = np.random.default_rng(1)
    logits = rng.normal(scale=2, size=(20_000, 3))
    true = softmax(logits)
    labels = (rng.random((len(true), 1)) > true.cumsum(axis=1)).sum(axis=1)
    served = Answers(["a", "b", "c"], labels, true.astype(np.float32))  # the model's logits are four times as large

    found = calibration.of_answers(served, 4.0)

    assert found.error < 0.02 < 0.1 < found.error_without
    assert "temperature of 4" in str(found) and f"{found.error_without:.3f}" in str(found)


def test_a_model_without_a_temperature_has_one_error():
    answers = Answers(["a", "b"], np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]], np.float32))

    found = calibration.of_answers(answers, 1.0)

    assert found.error == pytest.approx(found.error_without) == pytest.approx(0.15)
    assert "temperature" not in str(found)


def test_a_training_that_did_not_note_its_temperature_has_no_figures():
    assert calibration.collect({}, {"phases": []}) is None
