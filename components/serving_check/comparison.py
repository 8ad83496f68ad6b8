"""Compares a served model's answers with those of the model in training, and its figures with bounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np


def disagreements(reference: Mapping[str, Any], served: Mapping[str, Any], tolerance: float) -> Iterator[str]:
    """Where the served model's answers differ from those of the model in training.

    Args:
      reference: content of modules/serving/reference_predictions.py's file.
      served: the served model's answers, as components/serving_check/probe.py writes them.
      tolerance: how far a probability may differ.

    Yields:
      one sentence per disagreement; none if all answers agree.
    """
    classes, answers = reference["classes"], reference["answers"]
    if served["class_names"] != classes:
        yield f"class_names: {', '.join(served['class_names'])}; the model was trained on {', '.join(classes)}"
    expected = np.array([answer["probabilities"] for answer in answers])
    for signature in ("serving_default", "serve_images"):
        yield from _differences(signature, served[signature], expected, classes, tolerance)
    yield from _differences("serve_images with one image", served["one_image"], expected[:1], classes, tolerance)
    indices = [classes.index(answer["label"]) if answer["label"] in classes else -1 for answer in answers]
    if wrong := sum(index != true for index, true in zip(served["true_labels"], indices, strict=True)):
        yield f"true_labels: {wrong} of {len(indices)} images have the index of another class"


def _differences(
    signature: str, served: Mapping[str, Any], expected: np.ndarray, classes: Sequence[str], tolerance: float
) -> Iterator[str]:
    probabilities = np.array(served["probabilities"], float)
    if probabilities.shape != expected.shape:
        yield f"{signature}: the shape of the probabilities is {probabilities.shape}; {expected.shape} is expected"
        return
    differences = np.abs(probabilities - expected).max(axis=1)
    if wrong := int(np.sum(~(differences <= tolerance))):  # NaN counts as wrong
        yield (
            f"{signature}: {wrong} of {len(differences)} images have other probabilities than in training; they differ "
            f"by up to {np.max(differences):.3g}, and serving_check.tolerance is {tolerance:g}"
        )
    best = probabilities.argmax(axis=1)
    if wrong := sum(label != classes[index] for label, index in zip(served["label"], best, strict=True)):
        yield f"{signature}: {wrong} of {len(best)} labels are not the most probable class"
    if not np.allclose(served["score"], probabilities.max(axis=1), rtol=0, atol=1e-6):
        yield f"{signature}: the scores are not the probabilities of the labels"


def missed_bounds(measured: Mapping[str, float], bounds: Mapping[str, float]) -> Iterator[str]:
    """The bounds that are not met.

    Args:
      measured: figures by name.
      bounds: `max_` or `min_` and a figure's name to its bound.

    Yields:
      one sentence per bound.
    """
    for name, bound in bounds.items():
        side, _, figure = name.partition("_")
        value = measured[figure]
        if (value > bound) if side == "max" else (value < bound):
            limit = "most" if side == "max" else "least"
            yield f"serving_check.{name}: {figure} must be at {limit} {bound:g}. Measured: {value:.4g}"
