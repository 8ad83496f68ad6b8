"""Compares a served model's answers with those of the model in training, and its figures with bounds."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from modules.serving import WARM_UP_FILE
from modules.serving.novelty_threshold import THRESHOLD as _NOVELTY_THRESHOLD


def disagreements(reference: Mapping[str, Any], served: Mapping[str, Any], tolerance: float) -> Iterator[str]:
    """Where the served model's answers differ from those of the model in training.

    Args:
      reference: content of modules/serving/reference_predictions.py's file.
      served: the served model's answers to all images by signature, and to `one_image`, as
        components/serving_check/probe.py writes them.
      tolerance: how far a probability may differ.

    Yields:
      one sentence per disagreement; none if all answers agree.
    """
    classes, answers = reference["classes"], reference["answers"]
    if wrong_rows := list(_rows_that_are_no_batch(served, len(answers))):
        yield from wrong_rows
        return
    for names in served["class_names"]["class_names"]:
        if names != classes:
            yield f"class_names: {', '.join(names)}; the model was trained on {', '.join(classes)}"
            break
    expected = np.array([answer["probabilities"] for answer in answers])
    novelty = np.array([answer["novelty"] for answer in answers if "novelty" in answer])
    for signature in ("serving_default", "serve_images"):
        yield from _differences(signature, served[signature], expected, classes, tolerance)
        yield from novelty_differences(signature, served[signature], novelty, tolerance)
    one_image = "serve_images with one image"
    yield from _differences(one_image, served["one_image"], expected[:1], classes, tolerance)
    yield from novelty_differences(one_image, served["one_image"], novelty[:1], tolerance)
    indices = [classes.index(answer["label"]) if answer["label"] in classes else -1 for answer in answers]
    if wrong := sum(index != true for index, true in zip(served["true_labels"]["label"], indices, strict=True)):
        yield f"true_labels: {wrong} of {len(indices)} images have the index of another class"


def _rows_that_are_no_batch(served: Mapping[str, Any], images: int) -> Iterator[str]:
    for signature, outputs in served.items():
        expected = 1 if signature == "one_image" else images
        for name, rows in outputs.items():
            found = len(rows) if isinstance(rows, list) else 0
            if found != expected:
                yield (
                    f"{signature}: the output {name} has {found} rows for {expected} inputs; a server that batches "
                    "requests needs one for each"
                )


def without_warm_up(served: Mapping[str, Any], warmed_up: Collection[str]) -> Iterator[str]:
    """The signatures whose first answer takes long in a server.

    Args:
      served: the answers by signature.
      warmed_up: signatures for which the model has a warm-up request.

    Yields:
      one sentence per signature.
    """
    for signature in sorted(served.keys() - {"one_image", *warmed_up}):
        yield f"{WARM_UP_FILE}: there is no request for the signature {signature}, whose first answer would take long"


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


def novelty_differences(
    signature: str, served: Mapping[str, Any], expected: np.ndarray, tolerance: float
) -> Iterator[str]:
    """Compares the novelty and its threshold; nothing if the model in training has no such output."""
    if not len(expected):
        return
    if missing := {"novelty", "in_scope"} - served.keys():
        yield f"{signature}: the output {' and '.join(sorted(missing))} is missing, which the model in training has"
        return
    novelty, in_scope = np.array(served["novelty"], float), np.array(served["in_scope"])
    differences = np.abs(novelty - expected)
    if wrong := int(np.sum(~(differences <= tolerance))):  # NaN counts as wrong
        yield (
            f"{signature}: {wrong} of {len(differences)} images have another novelty than in training; it differs by "
            f"up to {np.max(differences):.3g}, and serving_check.tolerance is {tolerance:g}"
        )
    if wrong := int(np.sum(in_scope != (novelty <= _NOVELTY_THRESHOLD))):
        yield f"{signature}: {wrong} of {len(novelty)} values of in_scope do not follow from the novelty"


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
