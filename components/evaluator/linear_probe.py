"""A linear probe: what logistic regression on pooled features of the backbone reaches on the test images.

A model that is trained for minutes should beat a simpler one that is fitted in a second (Breck et al., The ML Test
Score, https://doi.org/10.1109/BigData.2017.8258038, test Model 5). LabelCheck keeps the features of all splits, so the
probe runs no backbone. It takes those of the backbone's last block.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from components.evaluator import confidence
from components.evaluator.metric_names import Metric
from components.evaluator.predictions import Predictions
from components.evaluator.verdict import AT_LEAST, OVERALL, Change, Check, ProbeFigures, Verdict
from components.label_check import image_features
from components.label_check.image_features import Split
from config.data import EVAL, TEST, TRAIN
from config.gate import GateConfig
from modules.training import logistic
from modules.training.logistic import Examples, Options

MOST_IMAGES = 20_000  # of the training split that the probe is fitted on, so that it takes a minute at most


def added(verdict: Verdict, gate: GateConfig, features: str | None, judged: Predictions) -> Verdict:
    """The verdict with the figures of the probe, and the check that `gate.must_beat_probe` asks for.

    Args:
      verdict: on the candidate.
      gate: of the configuration.
      features: folder of LabelCheck's artifact `image_features`; None without LabelCheck.
      judged: the candidate's answers to the test images.
    """
    figures = measure(features, judged, verdict.confidence) if features and verdict.examples else None
    if gate.must_beat_probe:
        upper = figures.difference.upper if figures else None
        verdict = verdict.with_checks([Check.of(Metric.PROBE_DIFFERENCE, upper, AT_LEAST, 0.0, OVERALL, "upper")])
    return dataclasses.replace(verdict, probe=figures)


def measure(features: str, judged: Predictions, sure: float) -> ProbeFigures | None:
    """Fits the probe on train, and compares it with the candidate on test.

    Args:
      features: folder of the artifact `image_features`.
      judged: the candidate's answers to the test images.
      sure: confidence of the bounds.

    Returns:
      None if there are fewer than two classes in train, or no images in eval or test.
    """
    found = image_features.read(features)
    train, evaluated, test = (found.splits[name] for name in (TRAIN, EVAL, TEST))
    classes = sorted(set(train.labels))
    index = {name: number for number, name in enumerate(classes)}
    known = _examples(evaluated, index, found.blocks[-1])
    if len(classes) < 2 or not len(known.labels) or not test.keys:
        return None
    fitted = logistic.fit(_examples(train, index, found.blocks[-1], MOST_IMAGES), known, Options(len(classes)))
    logits = test.vectors[:, -found.blocks[-1] :].astype(np.float32) @ fitted.kernel + fitted.bias
    answers = np.array(classes, object)[logits.argmax(axis=1)]
    own = (answers == np.array(test.labels, object))[judged.rows_in(test.keys)]
    return ProbeFigures(
        accuracy=float(own.mean()),
        train_images=min(len(train.keys), MOST_IMAGES),
        features=found.blocks[-1],
        penalty=fitted.penalty,
        chosen_by=fitted.chosen_by,
        difference=_difference(own, judged.right, sure),
    )


def _examples(split: Split, index: Mapping[str, int], width: int, most: int | None = None) -> Examples:
    """The last block's features of the images whose class train has; the first `most` by key, which is by chance."""
    rows = np.array([row for row, label in enumerate(split.labels) if label in index][:most], int)
    labels = np.array([index[split.labels[row]] for row in rows], np.int64)
    return Examples(split.vectors[rows, -width:].astype(np.float32)[:, np.newaxis], labels)


def _difference(probe: np.ndarray, candidate: np.ndarray, sure: float) -> Change:
    """The candidate's share of recognised images minus the probe's."""
    found, (gained, lost) = confidence.paired(probe, candidate, sure), confidence.discordant(probe, candidate)
    probability = confidence.change_probability(gained, lost)
    return Change(found.value, found.lower, found.upper, probability, (gained + lost) / len(probe))
