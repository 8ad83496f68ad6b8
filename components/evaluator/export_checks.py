"""The checks of a candidate's exports: their answers beside those of the SavedModel, for the same test images."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components.evaluator import confidence, predictions
from components.evaluator.metric_names import Metric
from components.evaluator.verdict import AT_LEAST, AT_MOST, Check
from config.export import INTEGER_FORMATS, Format
from config.gate import GateConfig
from modules.files import atomic_write

FILE = "exports.json"


@dataclass(frozen=True)
class ExportAnswers:
    """What an export answered.

    Attributes:
      size: of its file in bytes.
      probabilities: float32 [images, classes]; None if it could not be run.
      p50_ms: median time of one image in milliseconds, NaN if none was timed.
      reason: why it could not be run; else empty.
    """

    size: int
    probabilities: np.ndarray | None
    p50_ms: float = math.nan
    reason: str = ""


@dataclass(frozen=True)
class ExportFigures:
    """What was measured of an export on the test split; None where nothing could be measured.

    Attributes:
      size: of its file in bytes.
      valid: share of images whose probabilities are all numbers from 0 to 1.
      accuracy: share of images that it classifies correctly.
      agreement: share of images to which it and the SavedModel answer the same class.
      accuracy_change: its accuracy minus the SavedModel's.
      largest_difference: of a probability from the SavedModel's.
      p50_ms: median time of one image, already resized, in one thread.
      reason: why it could not be run; else empty.
    """

    size: int
    valid: float | None
    accuracy: float | None
    agreement: float | None
    accuracy_change: float | None
    largest_difference: float | None
    p50_ms: float | None
    reason: str


@dataclass(frozen=True)
class _Compared:
    """Bool [images] each: whether an export answers with numbers, is right, agrees with the SavedModel; whether that is
    right.
    """

    valid: np.ndarray
    right: np.ndarray
    agrees: np.ndarray
    reference_right: np.ndarray


def judged(
    name: Format, answers: ExportAnswers, reference: np.ndarray, labels: np.ndarray, gate: GateConfig
) -> tuple[ExportFigures, list[Check]]:
    """The figures and checks of one export.

    Args:
      name: of the format.
      answers: to the test images.
      reference: the SavedModel's probabilities for the same images, float32 [images, classes].
      labels: int [images], index of the true class; -1 for none of the classes.
      gate: the bounds.
    """
    reason = answers.reason
    if answers.probabilities is not None and answers.probabilities.shape != reference.shape:
        reason = f"its answers have the shape {answers.probabilities.shape}; {reference.shape} is expected"
    if reason or answers.probabilities is None or not len(labels):
        nothing = ExportFigures(answers.size, *(None,) * 6, reason=reason or "there are no test images")
        return nothing, _checks(name, nothing, None, gate)
    compared = _compared(answers.probabilities, reference, labels)
    difference = np.abs(answers.probabilities.astype(np.float64) - reference).max()
    figures = ExportFigures(
        size=answers.size,
        valid=float(compared.valid.mean()),
        accuracy=float(compared.right.mean()),
        agreement=float(compared.agrees.mean()),
        accuracy_change=float(compared.right.mean() - compared.reference_right.mean()),
        largest_difference=_finite(difference),
        p50_ms=_finite(answers.p50_ms),
        reason="",
    )
    return figures, _checks(name, figures, compared, gate)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _compared(probabilities: np.ndarray, reference: np.ndarray, labels: np.ndarray) -> _Compared:
    """An answer that is not a number is neither right nor in agreement with anything."""
    valid = predictions.valid(probabilities)
    answered, expected = probabilities.argmax(axis=1), reference.argmax(axis=1)
    return _Compared(valid, valid & (answered == labels), valid & (answered == expected), expected == labels)


def _checks(name: Format, figures: ExportFigures, compared: _Compared | None, gate: GateConfig) -> list[Check]:
    bounds, judge, slice_ = gate.exports, gate.judge, f"export={name}"
    accuracy, change = None, None
    if compared is not None:
        accuracy = confidence.share(compared.right, gate.confidence).judged_by(judge.accuracy)
        paired = confidence.paired(compared.reference_right, compared.right, gate.confidence)
        change = paired.judged_by(judge.regression)
    checks = [
        Check.of(Metric.VALID, figures.valid, AT_LEAST, 1.0, slice_),
        Check.of(Metric.ACCURACY, accuracy, AT_LEAST, gate.min_accuracy, slice_, judge.accuracy),
        Check.of(Metric.AGREEMENT, figures.agreement, AT_LEAST, bounds.min_agreement, slice_),
        Check.of(Metric.EXPORT_ACCURACY_CHANGE, change, AT_LEAST, -bounds.max_regression, slice_, judge.regression),
    ]
    if name not in INTEGER_FORMATS:
        difference = figures.largest_difference
        checks.append(Check.of(Metric.PROBABILITY_DIFFERENCE, difference, AT_MOST, bounds.tolerance, slice_))
    if (most := bounds.bytes_of(name)) is not None:
        checks.append(Check.of(Metric.FILE_BYTES, figures.size, AT_MOST, most, slice_))
    if (longest := bounds.p50_ms_of(name)) is not None:
        checks.append(Check.of(Metric.P50_MS, figures.p50_ms, AT_MOST, longest, slice_))
    return [dataclasses.replace(one, reason=figures.reason) if one.value is None else one for one in checks]


def write(folder: str | Path, figures: Mapping[Format, ExportFigures]) -> None:
    """Writes the figures of all exports beside the verdict."""
    content = {name: dataclasses.asdict(one) for name, one in figures.items()}
    atomic_write(Path(folder, FILE), json.dumps(content, indent=2) + "\n")


def read(folder: str | Path) -> dict[str, dict[str, Any]]:
    """The figures of each export; empty if the run made none."""
    path = Path(folder, FILE)
    content: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return content
