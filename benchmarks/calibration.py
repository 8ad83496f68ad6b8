"""What `training.calibration` does to the calibration error and the log loss on images that it was not fitted on.

    python -m benchmarks.calibration --seeds 3                         # the demo's photos, and CIFAR-10
    python -m benchmarks.calibration --kind fast --per-class 20 100    # a logistic head; two sizes of CIFAR-10

Each row is one training. Its logits are divided by the temperature that is fitted on eval, and judged on test.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping

import numpy as np
import scipy.special

from benchmarks import novelty_models, scores, subsets
from benchmarks.novelty import CIFAR10, LIGHTS
from benchmarks.novelty_models import Trunk, show
from benchmarks.subsets import Draw, Split
from config.data import EVAL, TEST, TRAIN
from modules.serving import temperature

Logits = tuple[np.ndarray, np.ndarray]  # [images, classes], and the true classes [images]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=list(novelty_models.CONFIGS), default=novelty_models.FINE_TUNED)
    parser.add_argument("--seeds", type=int, default=1, help="draws of images, and trainings; default 1")
    parser.add_argument("--per-class", type=int, nargs="+", default=[100], help="of CIFAR-10, train and eval; 100")
    parser.add_argument("--test-images", type=int, default=2000, help="of CIFAR-10; default 2000")
    options = parser.parse_args()
    for folder in (LIGHTS, CIFAR10):
        subsets.check_folder(folder)
    show("| training | eval images | temperature | error without | with | log loss without | with |")
    show("|---|---|---|---|---|---|---|")
    below = Trunk(options.kind)
    for seed in range(options.seeds):
        draws = {"traffic lights": subsets.draw(LIGHTS, Draw(seed))}
        for count in options.per_class:
            drawn = subsets.draw(CIFAR10, Draw(seed, count, test_images=options.test_images))
            draws[f"CIFAR-10, {count} per class"] = drawn
        for name, splits in draws.items():
            show(row(f"{name}, seed {seed}", *_trained(below, splits, seed)))


def _trained(below: Trunk, splits: Mapping[str, Split], seed: int) -> Iterator[Logits]:
    images = novelty_models.read_splits(splits)
    trained = below.trained(images[TRAIN], images[EVAL], seed)
    for split in (EVAL, TEST):
        answers, labels = trained.labelled(images[split])
        yield answers.logits, labels


def row(name: str, evaluation: Logits, test: Logits) -> str:
    """One line of the table.

    Args:
      name: of the training.
      evaluation: what the temperature is fitted on.
      test: what is judged.
    """
    logits, labels = evaluation
    fitted = temperature.fitted(scipy.special.softmax(logits, axis=1), np.eye(logits.shape[1])[labels])
    logits, labels = test
    judged = [
        scores.score(labels, scipy.special.softmax(logits / divisor, axis=1), [1.0] * logits.shape[1])
        for divisor in (1.0, fitted)
    ]
    values = [fitted, *(one.calibration_error for one in judged), *(one.log_loss for one in judged)]
    cells = [f"{value:.3f}" for value in values]
    return f"| {name} | {len(evaluation[1])} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
