"""How far the scores are from how often they are right, and how far they were before temperature scaling."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.evaluator import predictions
from config.stages import EVALUATOR
from pipeline.report import predicted, reliability
from pipeline.report.predicted import Answers
from pipeline.run_metadata import StageRecord

_SMALLEST = 1e-30  # a probability below it counts as this one


@dataclass(frozen=True)
class Calibration:
    """The expected calibration error on the test images, as the gate has it.

    Attributes:
      temperature: what divides the logits, above 0; 1 if nothing does.
      error: of the candidate, 0 to 1.
      error_without: that of the candidate without the temperature.
    """

    temperature: float
    error: float
    error_without: float

    def __str__(self) -> str:
        if self.temperature == 1:
            return f"calibration error {self.error:.3f} on the test images"
        return (
            f"calibration error {self.error:.3f} on the test images; without the temperature of {self.temperature:.3g} "
            f"it would be {self.error_without:.3f}"
        )


def collect(records: Mapping[str, StageRecord], history: Mapping[str, Any]) -> Calibration | None:
    """Computes the errors from the predictions that Evaluator has kept.

    Args:
      records: stage id to its record.
      history: of the training, see modules/training/history.py.

    Returns:
      the errors; None if nothing was trained, or by an older version, which did not note the temperature.

    Raises:
      FileNotFoundError: if the predictions are gone.
    """
    if "temperature" not in history:
        return None
    found = predicted.of(predictions.read(records[EVALUATOR].outputs["evaluation"].uri))
    return of_answers(found.candidate, history["temperature"])


def of_answers(answers: Answers, temperature: float) -> Calibration:
    """The errors of these answers, which are those after the temperature."""
    without = dataclasses.replace(answers, probabilities=without_temperature(answers.probabilities, temperature))
    return Calibration(
        temperature,
        reliability.of_answers(answers).calibration_error,
        reliability.of_answers(without).calibration_error,
    )


def without_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """What a model would have answered without a temperature: its logits are those of the answers, times it.

    Args:
      probabilities: [images, classes], in [0, 1].
      temperature: above 0.

    Returns:
      float64 [images, classes].
    """
    logits = temperature * np.log(np.maximum(probabilities.astype(np.float64), _SMALLEST))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return found
