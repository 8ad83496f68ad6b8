"""The stress test: what its corruptions do to a model, and how often its bounds refuse sound and broken models.

    .venv/bin/python -m benchmarks.stress simulate
    .venv/bin/python -m benchmarks.stress severities MODEL SPLIT [--images 500]

`simulate` draws answers of two models to the same images (simulated_answers.py), and needs no model.
`severities` asks a SavedModel about the images of a split, under each corruption and severity. MODEL and SPLIT are
folders of artifacts: `Trainer/model/<number>/Format-Serving` and `ImageExampleGen/examples/<number>/Split-test`.
"""

from __future__ import annotations

import argparse
import functools
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.stats

from benchmarks import simulated_answers
from components.evaluator import confidence
from components.evaluator.stress import corruptions, judgement
from components.evaluator.stress.corruptions import CORRUPTIONS
from components.evaluator.stress.judgement import Answers

SURE = 0.95
ACCURACIES = (0.9, 0.8, 0.7, 0.85, 0.6, 0.88, 0.8, 0.75)  # of a sound model under each corruption; 0.95 without
POWER = 0.95


def main(arguments: Sequence[str]) -> None:
    """Runs one of the two benchmarks, and prints its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_subparsers(dest="what", required=True)
    simulation = what.add_parser("simulate")
    simulation.add_argument("--runs", type=int, default=2000)
    measured = what.add_parser("severities")
    measured.add_argument("model")
    measured.add_argument("split", type=Path)
    measured.add_argument("--images", type=int, default=500)
    measured.add_argument("--severities", type=int, nargs="+", default=list(corruptions.SEVERITIES))
    options = parser.parse_args(arguments)
    if options.what == "simulate":
        _simulate(options.runs)
    else:
        _severities(options.model, options.split, options.images, options.severities)


def _simulate(runs: int) -> None:
    confidence.change_bounds = functools.cache(confidence.change_bounds)  # the same counts come up again and again
    print("Sound models that are refused:\n| images | each check at 95 % | Bonferroni |\n|---:|---:|---:|")
    for images in (40, 160, 640):
        print(f"| {images} | {_refused(images, runs, 1):.1%} | {_refused(images, runs, 2 * len(ACCURACIES) + 2):.1%} |")
    print("The mean's lower bound is above the true mean, which should be 0.28 %:")
    print("| images | Student's t | percentile bootstrap |\n|---:|---:|---:|")
    for images in (40, 160, 640):
        print(f"| {images} | {' | '.join(f'{share:.2%}' for share in _beyond(images, 8 * runs))} |")
    print("Images that catch a model 5 points worse under one corruption in 19 of 20 cases:")
    print("| images on which the models differ | one check | 9 checks | 18 checks |\n|---:|---:|---:|---:|")
    for differs in (0.06, 0.1, 0.15, 0.2):
        counts = (_images_needed(0.05, differs, 1 - (1 - SURE) / checks) for checks in (1, 9, 18))
        print(f"| {differs:.0%} | {' | '.join(map(str, counts))} |")
    print("Points that images detect in 4 of 5 cases, with 9 checks:")
    print("| images on which the models differ | 160 images | 320 | 640 | 1280 |\n|---:|---:|---:|---:|---:|")
    for differs in (0.06, 0.1, 0.15, 0.2):
        found = (judgement.smallest_change(differs, images, 1 - (1 - SURE) / 9) for images in (160, 320, 640, 1280))
        print(f"| {differs:.0%} | {' | '.join(f'{100 * one:.1f}' for one in found)} |")


def _drawn(images: int, seed: int) -> tuple[Answers, Answers]:
    return simulated_answers.drawn(images, [0.95, *ACCURACIES], [0.95, *ACCURACIES], seed)


def _refused(images: int, runs: int, checks: int) -> float:
    """Share of runs that refuse a model which is exactly at all bounds, and as good as production."""
    falls, sure, refused = [0.95 - share for share in ACCURACIES], 1 - (1 - SURE) / checks, 0
    for seed in range(runs):
        now, before = _drawn(images, seed)
        pairs = list(zip(now.corrupted.T, before.corrupted.T, strict=True))
        is_worse = any(confidence.paired(old, new, sure).upper < 0 for new, old in pairs)
        falls_more = any(confidence.paired(new, now.clean, sure).lower > max(falls) for new, _ in pairs)
        fall = judgement.mean_estimate(now.clean - now.corrupted.mean(axis=1), sure)
        change = judgement.mean_estimate(now.corrupted.mean(axis=1) - before.corrupted.mean(axis=1), sure)
        refused += is_worse or falls_more or fall.lower > float(np.mean(falls)) or change.upper < 0
    return refused / runs


def _beyond(images: int, runs: int) -> tuple[float, float]:
    """Shares of runs in which the lower bound of the mean fall is above the true one: of both methods."""
    true, sure = float(np.mean([0.95 - share for share in ACCURACIES])), 1 - (1 - SURE) / 18
    falls = (now.clean - now.corrupted.mean(axis=1) for now, _ in (_drawn(images, seed) for seed in range(runs)))
    beyond = [(_student(one, sure) > true, _bootstrap(one, sure) > true) for one in falls]
    student, bootstrap = np.mean(beyond, axis=0)
    return float(student), float(bootstrap)


def _student(falls: np.ndarray, sure: float) -> float:
    return judgement.mean_estimate(falls, sure).lower


def _bootstrap(falls: np.ndarray, sure: float) -> float:
    """The percentile of the means of 4000 samples with replacement."""
    values, counts = np.unique(falls, return_counts=True)
    drawn = np.random.default_rng(0).multinomial(len(falls), counts / len(falls), 4000)
    return float(np.quantile(drawn @ values / len(falls), 1 - sure))


def _images_needed(change: float, differs: float, sure: float) -> int:
    """As confidence.images_to_see_change, with another power."""
    spread = (
        math.sqrt(differs) * scipy.stats.norm.ppf(sure),
        math.sqrt(differs - change**2) * scipy.stats.norm.ppf(POWER),
    )
    return math.ceil((sum(spread) / change) ** 2)


def _labels(files: Sequence[str]) -> dict[str, str]:
    """Key of each image to the name of its class."""
    import tensorflow as tf

    from modules.data import features

    spec = {name: tf.io.FixedLenFeature([], tf.string) for name in (features.KEY, features.LABEL)}
    batches = tf.data.TFRecordDataset(list(files), "GZIP").batch(256).map(lambda one: tf.io.parse_example(one, spec))
    return {
        key.decode(): label.decode()
        for batch in batches.as_numpy_iterator()
        for key, label in zip(batch[features.KEY], batch[features.LABEL], strict=True)
    }


def _severities(model: str, split: Path, images: int, severities: Sequence[int]) -> None:
    from components.evaluator.stress import measurement, sample  # loads TensorFlow

    files = sorted(map(str, split.glob("*.gz")))
    shown = sample.read(files, _labels(files), images)
    served = [measurement.Served(model, "the model")]
    print(f"| severity | {' | '.join(CORRUPTIONS)} | mean | none | CPU seconds |\n|{'---:|' * (len(CORRUPTIONS) + 4)}")
    with tempfile.TemporaryDirectory() as scratch:
        for severity in severities:
            began = time.process_time()
            (answers,) = measurement.answers(served, shown, severity, Path(scratch))
            took = time.process_time() - began
            shares = [*answers.corrupted.mean(axis=0), answers.corrupted.mean(), answers.clean.mean()]
            cells = " | ".join(f"{100 * share:.1f}" for share in shares)
            print(f"| {severity} | {cells} | {took:.0f} |", flush=True)
    print(f"{len(shown)} images")


if __name__ == "__main__":
    main(sys.argv[1:])
