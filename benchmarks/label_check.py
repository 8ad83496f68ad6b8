"""How many planted label errors LabelCheck finds, how many of those it names are errors, and what cleanlab finds.

    python -m benchmarks.label_check data/traffic_lights
    python -m benchmarks.label_check /data/cifar10/train /data/cifar10/test --seeds 3

Each folder holds one folder per class. A share of the labels is replaced by other classes, evenly. All methods judge
the same features: those that LabelCheck computes with the default configuration.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.special
import tensorflow as tf
from cleanlab import filter as cleanlab_filter

from components.label_check import detection
from config.backbone import BackboneConfig
from config.label_check import LabelCheckConfig
from config.training import FineTuneConfig
from modules import trunk
from modules.backbones import blocks, builders
from modules.data import decoding
from modules.data.normalization import PREPROCESSING

_BATCH = 64
_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif"}
_CLEANLAB = ("prune_by_noise_rate", "prune_by_class", "both", "confident_learning", "predicted_neq_given")
_PENALTIES = (0.02, 0.05, 0.1, 0.3)
_THRESHOLD = LabelCheckConfig().wrong


@dataclass(frozen=True)
class Images:
    """The images of a data set.

    Attributes:
      features: float16 [images, features].
      labels: int64 [images].
      blocks: how many of the features are of each block.
    """

    features: np.ndarray
    labels: np.ndarray
    blocks: tuple[int, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", help="each with one folder per class")
    parser.add_argument("--seeds", type=int, default=3, help="how often errors are planted; default 3")
    parser.add_argument("--share", type=float, default=0.05, help="of the labels that are replaced; default 0.05")
    parser.add_argument("--image-size", type=int, default=160, help="pixels; default 160")
    parser.add_argument("--features", type=Path, help=".npz file where features are kept for the next time")
    parser.add_argument("--without-cleanlab", action="store_true", help="leave out its methods, which take minutes")
    options = parser.parse_args()
    images = _images(options)
    _show(f"{len(images.labels)} images, {images.labels.max() + 1} classes, {images.features.shape[1]} features")
    _show("| method | errors | found | of those named, errors | named in clean data | seconds |")
    _show("|---|---|---|---|---|---|")
    for name, judge in _methods(images, options.without_cleanlab):
        _compare(name, judge, images, options)


def _images(options: argparse.Namespace) -> Images:
    if options.features and options.features.exists():
        kept = np.load(options.features)
        return Images(kept["features"], kept["labels"], tuple(kept["blocks"].tolist()))
    classes = sorted(folder.name for folder in options.folders[0].iterdir() if folder.is_dir())
    files = [
        (str(file), index)
        for folder in options.folders
        for index, name in enumerate(classes)
        for file in sorted((folder / name).rglob("*"))
        if file.suffix.lower() in _SUFFIXES
    ]
    start = time.monotonic()
    features, widths = _features([file for file, _ in files], options.image_size)
    _show(f"features: {time.monotonic() - start:.1f} s")
    images = Images(features, np.array([label for _, label in files], np.int64), widths)
    if options.features:
        np.savez(options.features, features=features, labels=images.labels, blocks=np.array(widths))
    return images


def _features(files: Sequence[str], image_size: int) -> tuple[np.ndarray, tuple[int, ...]]:
    config = BackboneConfig(image_size=image_size)
    below, tail = trunk.cut_backbone(builders.load(config), FineTuneConfig().layers)
    above = blocks.pooled(tail, blocks.ALL)
    run_below, run_above = trunk.folded(below), trunk.folded(above)
    preprocess = PREPROCESSING[str(config.preprocessing)]

    def pixels(batch: tf.Tensor) -> tf.Tensor:
        encoded = tf.map_fn(tf.io.read_file, batch)
        arguments = (image_size, config.aspect, str(config.interpolation), decoding.MAX_PIXELS)
        return preprocess(decoding.decode_and_resize(encoded, *arguments))

    batches = tf.data.Dataset.from_tensor_slices(list(files)).batch(_BATCH).map(pixels).prefetch(2)
    parts = [run_above(run_below(batch)).numpy().astype(np.float16) for batch in batches]
    return np.concatenate(parts), blocks.widths(above)


def _methods(images: Images, without_cleanlab: bool) -> Iterator[tuple[str, object]]:
    """Name and a function of labels that gives which of them are named as errors."""
    units = np.arange(len(images.labels))
    last = images.blocks[-1]

    def noise_model(features: np.ndarray, widths: tuple[int, ...], penalty: float, passes: int):
        return lambda labels: detection.judge(features, labels, units, widths, penalty, passes).wrong >= _THRESHOLD

    yield "LabelCheck", noise_model(images.features, images.blocks, detection.PENALTY, detection.PASSES)
    yield "one pass", noise_model(images.features, images.blocks, detection.PENALTY, 1)
    for penalty in _PENALTIES:
        if penalty != detection.PENALTY:
            yield f"penalty {penalty}", noise_model(images.features, images.blocks, penalty, detection.PASSES)
    yield "last block only", noise_model(images.features[:, -last:], (last,), detection.PENALTY, detection.PASSES)
    for method in () if without_cleanlab else _CLEANLAB:
        yield f"cleanlab, {method}", _by_cleanlab(images, method)


def _by_cleanlab(images: Images, method: str):
    def named(labels: np.ndarray) -> np.ndarray:
        folds = detection.folds(labels, np.arange(len(labels)))
        fitted = detection.OutOfFold(images.features, labels, folds, images.blocks, int(labels.max()) + 1)
        answers = np.concatenate(
            [
                scipy.special.softmax(fitted.logits(rows).astype(np.float64), axis=1)
                for rows in np.array_split(np.arange(len(labels)), -(-len(labels) // 4096))
            ]
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as: no errors of some class
            return cleanlab_filter.find_label_issues(labels, answers, filter_by=method, n_jobs=1)

    return named


def _compare(name: str, judge, images: Images, options: argparse.Namespace) -> None:
    start = time.monotonic()
    clean = int(judge(images.labels).sum())
    seconds = time.monotonic() - start
    found, right, planted = [], [], 0
    for seed in range(options.seeds):
        labels, is_wrong = plant(images.labels, options.share, seed)
        named = judge(labels)
        planted = int(is_wrong.sum())
        found.append((named & is_wrong).sum() / max(1, planted))
        right.append((named & is_wrong).sum() / max(1, named.sum()))
    _show(f"| {name} | {planted} | {_percent(found)} | {_percent(right)} | {clean} | {seconds:.1f} |")


def plant(labels: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Replaces some labels by other classes, each with the same probability.

    Returns:
      the labels, int64 [images], and which are wrong, bool [images].
    """
    random, classes = np.random.default_rng(seed), int(labels.max()) + 1
    chosen = random.permutation(len(labels))[: round(share * len(labels))]
    planted, is_wrong = labels.copy(), np.zeros(len(labels), bool)
    planted[chosen] = (labels[chosen] + random.integers(1, classes, len(chosen))) % classes
    is_wrong[chosen] = True
    return planted, is_wrong


def _percent(shares: Sequence[float]) -> str:
    each = ", ".join(f"{share:.1%}" for share in shares)
    return f"{np.mean(shares):.1%} ({each})" if len(shares) > 1 else each


def _show(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
