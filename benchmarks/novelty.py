"""How well scores tell images of the trained classes from images of none of them.

    python -m benchmarks.novelty far                                   # noise, text, photos of the other data set
    python -m benchmarks.novelty near --held-out cat truck --seeds 2   # a class of CIFAR-10 that training lacks
    python -m benchmarks.novelty near --kind fast                      # a logistic head on the frozen backbone
    python -m benchmarks.novelty cost                                  # bytes, and time for an image

For each training and each kind of unknown images, a row has the area under the ROC curve of each score, and the shares
of known test images and of unknown ones that the chosen score rejects with the threshold set on eval.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import scipy.special
import scipy.stats
import tensorflow as tf

from benchmarks import novelty_models, subsets
from benchmarks.novelty_models import Answers, Trunk, show
from benchmarks.subsets import Draw, Split
from config.data import EVAL, TEST, TRAIN
from config.novelty import NoveltyConfig
from modules.exporting import runtimes
from modules.serving import novelty, novelty_distance, novelty_threshold
from modules.serving.novelty_features import Features

LIGHTS, CIFAR10 = subsets.DATA["demo"], subsets.DATA["cifar10"]
_COSTS = ((1280, 3), (1280, 100), (2048, 1000))  # features and classes
_LARGEST_SUBSET = 950  # training images for neighbours: 1,280 features each, 5 MB in float32
Score = Callable[[Answers], np.ndarray]


@dataclass(frozen=True)
class Trial:
    """One training: what is known of it, and its unknown images.

    Attributes:
      name: of the training.
      train, evaluation, test: features with their labels, and logits, of the known images.
      unknown: kind of unknown images to their answers.
    """

    name: str
    train: tuple[Answers, np.ndarray]
    evaluation: tuple[Answers, np.ndarray]
    test: tuple[Answers, np.ndarray]
    unknown: Mapping[str, Answers]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=["far", "near", "cost"])
    parser.add_argument("--kind", choices=list(novelty_models.CONFIGS), default=novelty_models.FINE_TUNED)
    parser.add_argument("--held-out", nargs="+", help="classes that are left out, one by one; default: each")
    parser.add_argument("--seeds", type=int, default=1, help="draws of training images; default 1")
    parser.add_argument("--per-class", type=int, default=100, help="images of CIFAR-10 in train and eval; default 100")
    parser.add_argument("--test-images", type=int, default=1000, help="of CIFAR-10; default 1000")
    parser.add_argument("--unknown", type=int, default=300, help="far images of each kind; default 300")
    parser.add_argument("--images", type=int, default=10_000, help="that `cost` fits the score to; default 10000")
    options = parser.parse_args()
    if options.case == "cost":
        return _show_cost(options.images)
    for folder in (LIGHTS, CIFAR10):
        subsets.check_folder(folder)
    names, rows = list[str](), list[list[float]]()
    for trial in _trials(options):
        scores = dict(_scores(trial))
        if not names:
            names = list(scores)
            show(f"| training | unknown | {' | '.join(names)} | known rejected | unknown rejected |")
            show("|" + "---|" * (len(names) + 4))
        rejects = _rejects(trial)
        for unknown, answers in trial.unknown.items():
            areas = [area(score(trial.test[0]), score(answers)) for score in scores.values()]
            rows.append([*areas, float(rejects(trial.test[0]).mean()), float(rejects(answers).mean())])
            show(_row(trial.name, unknown, rows[-1]))
    show(_row("mean", "", np.mean(rows, axis=0).tolist()))


def _show_cost(images: int) -> None:
    """Of the score alone, in one compiled call."""
    show("| features | classes | MB | fit, s | batch 1, ms | batch 32, ms |\n|---|---|---|---|---|---|")
    rng = np.random.default_rng(0)
    for features, classes in _COSTS:
        values = rng.random((images, features), np.float32)
        start = time.perf_counter()
        labels = np.arange(len(values)) % classes
        distance = novelty_distance.fit(values, labels, 0)
        seconds = time.perf_counter() - start
        threshold = novelty_threshold.choose(distance.of(values[:500]), np.empty(0), 0.01)
        score = novelty.NoveltyScore(distance, threshold)
        run = tf.function(lambda batch, score=score: score(batch))
        times = [runtimes.p50_ms(lambda batch, run=run: run(batch).numpy(), [values[:count]]) for count in (1, 32)]
        cells = [features, classes, f"{_bytes(distance) / 1e6:.1f}", f"{seconds:.1f}", *(f"{ms:.2f}" for ms in times)]
        show(f"| {' | '.join(map(str, cells))} |")


def _bytes(distance: novelty_distance.Distance) -> int:
    return sum(value.nbytes for value in vars(distance).values() if isinstance(value, np.ndarray))


def _row(name: str, unknown: str, values: list[float]) -> str:
    cells = [*(f"{value:.3f}" for value in values[:-2]), *(f"{value:.1%}" for value in values[-2:])]
    return f"| {name} | {unknown} | {' | '.join(cells)} |"


def area(known: np.ndarray, unknown: np.ndarray) -> float:
    """The probability that an unknown image has a higher score than a known one; ties count half."""
    ranks = scipy.stats.rankdata(np.concatenate([known, unknown]))[len(known) :]
    return float((ranks.sum() - len(unknown) * (len(unknown) + 1) / 2) / (len(known) * len(unknown)))


def _trials(options: argparse.Namespace) -> Iterator[Trial]:
    below = Trunk(options.kind)
    for seed in range(options.seeds):
        drawn = subsets.draw(CIFAR10, Draw(seed, options.per_class, test_images=options.test_images))
        if options.case == "near":
            for held_out in options.held_out or list(drawn[TEST]):
                known = {
                    split: {name: files for name, files in classes.items() if name != held_out}
                    for split, classes in drawn.items()
                }
                unknown = {held_out: novelty_models.read(drawn[TEST][held_out])}
                yield _trial(below, f"all but {held_out}, {seed}", known, unknown, seed)
            continue
        lights = subsets.draw(LIGHTS, Draw(seed))
        count = options.unknown
        pictures = {"noise": novelty_models.noise(count), "text": novelty_models.text(count)}
        yield _trial(
            below, f"traffic lights, {seed}", lights, {"CIFAR-10": _some(drawn[TEST], count), **pictures}, seed
        )
        yield _trial(
            below, f"CIFAR-10, {seed}", drawn, {"traffic lights": _some(lights[TRAIN], count), **pictures}, seed
        )


def _some(split: Split, count: int) -> list[bytes]:
    files = [file for files in split.values() for file in files]
    return novelty_models.read([files[index] for index in np.random.default_rng(0).permutation(len(files))[:count]])


def _trial(below: Trunk, name: str, known: Mapping[str, Split], unknown: Mapping[str, list[bytes]], seed: int) -> Trial:
    images = novelty_models.read_splits(known)
    trained = below.trained(images[TRAIN], images[EVAL], seed)
    train, evaluation, test = (trained.labelled(images[split]) for split in (TRAIN, EVAL, TEST))
    return Trial(name, train, evaluation, test, {name: trained.answers(ones) for name, ones in unknown.items()})


def _scores(trial: Trial) -> Iterator[tuple[str, Score]]:
    """Name and score; more is more unlike."""
    answers, labels = trial.train
    yield "maximum probability", lambda a: -scipy.special.softmax(a.logits, axis=1).max(axis=1)
    yield "energy", lambda a: -scipy.special.logsumexp(a.logits, axis=1)
    units = novelty_distance.unit(answers.features)
    subset = units[np.random.default_rng(0).permutation(len(units))[:_LARGEST_SUBSET]]
    yield "neighbour 1", lambda a: _neighbour(a.features, subset, 1)
    yield "neighbour 10", lambda a: _neighbour(a.features, subset, 10)
    yield "Mahalanobis, raw features", _mahalanobis(answers.features, labels, lambda features: features)
    yield "Mahalanobis", _mahalanobis(answers.features, labels, novelty_distance.unit)
    chosen = novelty_distance.fit(answers.features, labels, 0)
    yield "**relative Mahalanobis**", lambda a: chosen.of(a.features)


def _neighbour(features: np.ndarray, subset: np.ndarray, count: int) -> np.ndarray:
    """The distance to the neighbour of this rank, of unit features, from 1."""
    similarities = np.sort(novelty_distance.unit(features) @ subset.T, axis=1)
    return -similarities[:, -count]


def _mahalanobis(features: np.ndarray, labels: np.ndarray, scaled: Callable[[np.ndarray], np.ndarray]) -> Score:
    """The squared distance to the nearest class, with one covariance for all, shrunk as in novelty_distance.py."""
    features = scaled(features)
    means = np.stack([features[labels == label].mean(axis=0) for label in np.unique(labels)])
    within = features - means[labels]
    covariance = np.cov(within.T, bias=True)
    covariance = 0.5 * (covariance + np.trace(covariance) / len(covariance) * np.eye(len(covariance)))
    whitening = np.linalg.inv(np.linalg.cholesky(covariance)).T
    centres = means @ whitening

    def score(answers: Answers) -> np.ndarray:
        whitened = scaled(answers.features) @ whitening
        return np.min([((whitened - centre) ** 2).sum(axis=1) for centre in centres], axis=0)

    return score


def _rejects(trial: Trial) -> Callable[[Answers], np.ndarray]:
    """Whether the served model would reject images, with the default rate."""
    (train, train_labels), (evaluation, labels) = trial.train, trial.evaluation
    rate = NoveltyConfig().max_false_rejects
    known = Features(train.features, train_labels), Features(evaluation.features, labels)
    distance, threshold = novelty.fit(*known, rate, 0)
    return lambda answers: distance.of(answers.features) > threshold.distance


if __name__ == "__main__":
    main()
