"""Holds what a served model said against what the model in training said, and its figures against bounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np


def disagreements(reference: Mapping[str, Any], said: Mapping[str, Any], tolerance: float) -> Iterator[str]:
    """Where the served model says something else.

    Args:
      reference: content of modules/reference_answers.py's file.
      said: by the served model, as components/serving_check/probe.py writes it.
      tolerance: how far a probability may differ.

    Yields:
      one sentence a disagreement; none if all agree.
    """
    classes, answers = reference["classes"], reference["answers"]
    if said["class_names"] != classes:
        yield f"class_names: {', '.join(said['class_names'])}; the model was trained on {', '.join(classes)}"
    expected = np.array([answer["probabilities"] for answer in answers])
    for signature in ("serving_default", "serve_images"):
        yield from _other_answers(signature, said[signature], expected, classes, tolerance)
    yield from _other_answers("serve_images, one image alone", said["alone"], expected[:1], classes, tolerance)
    indices = [classes.index(answer["label"]) if answer["label"] in classes else -1 for answer in answers]
    if wrong := sum(index != true for index, true in zip(said["true_labels"], indices, strict=True)):
        yield f"true_labels: {wrong} of {len(indices)} images have another class's index"


def _other_answers(
    signature: str, said: Mapping[str, Any], expected: np.ndarray, classes: Sequence[str], tolerance: float
) -> Iterator[str]:
    probabilities = np.array(said["probabilities"], float)
    if probabilities.shape != expected.shape:
        yield f"{signature}: probabilities of shape {probabilities.shape}; expected is {expected.shape}"
        return
    off = np.abs(probabilities - expected).max(axis=1)
    if wrong := int(np.sum(~(off <= tolerance))):  # NaN is off, too
        yield (
            f"{signature}: {wrong} of {len(off)} images are answered otherwise than in training; probabilities differ "
            f"by up to {np.max(off):.3g}, {tolerance:g} is allowed"
        )
    best = probabilities.argmax(axis=1)
    if wrong := sum(label != classes[index] for label, index in zip(said["label"], best, strict=True)):
        yield f"{signature}: {wrong} of {len(best)} labels are not the most probable class"
    if not np.allclose(said["score"], probabilities.max(axis=1), rtol=0, atol=1e-6):
        yield f"{signature}: scores are not the labels' probabilities"


def missed_bounds(measured: Mapping[str, float], bounds: Mapping[str, float | None]) -> Iterator[str]:
    """Which bounds are missed.

    Args:
      measured: figures by name.
      bounds: `max_` or `min_` and a figure's name to its bound; None: none is asked for.
    """
    for name, bound in bounds.items():
        side, _, figure = name.partition("_")
        if bound is None:
            continue
        if (measured[figure] > bound) if side == "max" else (measured[figure] < bound):
            yield f"{figure}: {measured[figure]:.4g}; {'at most' if side == 'max' else 'at least'} {bound:g} is wanted"
