"""Which images a trial trains on and which it is tested on: drawn by a seed, the same for every method."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image

from components.image_example_gen import near_duplicates
from config.data import EVAL, TEST, TRAIN, IngestionConfig

_TEST_FOLDS = 5  # for data without a test part
_EVAL_FOLDS = 9  # eval is a ninth of what is not tested, as with the default shares 8:1:1
_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif"}

DATA = {"cifar10": Path("data/cifar10"), "demo": Path("data/traffic_lights")}
_ADVICE = {
    DATA["cifar10"]: "run `python data/prepare_cifar10.py` first",
    DATA["demo"]: "run `python data/prepare_traffic_lights.py` first",
}

Files = list[Path]
Split = dict[str, Files]  # class name to files


@dataclass(frozen=True)
class Draw:
    """What is drawn.

    Attributes:
      seed: 0 or more. For data without a test part, also the number of the fold.
      per_class: images of each class for train and eval together; None: all.
      long_tail: the largest class has this many times the images of the smallest, the others lie between on an
        exponential curve; the seed draws the order of the classes. 1: all classes have the same number.
      test_images: images of the test part, of each class the same number, the same for every seed; None: all. Data
        without a test part uses all.
    """

    seed: int
    per_class: int | None = None
    long_tail: float = 1.0
    test_images: int | None = None


def check_folder(folder: Path) -> None:
    """Says how to get a data set that is missing, before anything is measured."""
    if not folder.is_dir():
        raise SystemExit(f"{folder}: does not exist; {_ADVICE.get(folder, 'name a folder of classes')}")


def draw(folder: Path, wanted: Draw) -> dict[str, Split]:
    """Draws the splits.

    Args:
      folder: class folders below `train/` and `test/`; or class folders alone, of which near-duplicates are then kept
        together, and each fifth seed tests the same images.
      wanted: what is drawn.

    Returns:
      train, eval and test.

    Raises:
      ValueError: if a class has too few images, or what is wanted is impossible.
    """
    if wanted.long_tail != 1 and wanted.per_class is None:
        raise ValueError("a long tail needs the number of images of the largest class; add --per-class")
    if (folder / TRAIN).is_dir() and (folder / TEST).is_dir():
        pool, test = _by_class(folder / TRAIN), _by_class(folder / TEST)
        test = _take_each(test, wanted.test_images // len(test), 0) if wanted.test_images else test
        units = {file: str(file) for files in pool.values() for file in files}
    else:
        everything = _by_class(folder)
        units = find_units([file for files in everything.values() for file in files])
        folds = partition(everything, units, _TEST_FOLDS, wanted.seed // _TEST_FOLDS)
        test = folds.pop(wanted.seed % _TEST_FOLDS)
        pool = {name: [file for fold in folds for file in fold[name]] for name in everything}
    counts = class_counts(list(pool), wanted)
    drawn = {name: _take(sorted(files), counts[name], name, wanted.seed) for name, files in pool.items()}
    train, evaluation = _hold_out(drawn, units, wanted.seed)
    return {TRAIN: train, EVAL: evaluation, TEST: test}


def class_counts(classes: Sequence[str], wanted: Draw) -> dict[str, int | None]:
    """Images of each class for train and eval together; None: all."""
    if wanted.per_class is None or wanted.long_tail == 1:
        return dict.fromkeys(classes, wanted.per_class)
    order = np.random.default_rng(wanted.seed).permutation(len(classes))
    steps = max(1, len(classes) - 1)
    return {
        classes[index]: max(2, round(wanted.per_class * wanted.long_tail ** (-rank / steps)))
        for rank, index in enumerate(order)
    }


def find_units(files: Sequence[Path]) -> dict[Path, str]:
    """Near-duplicates, as ImageExampleGen finds them, and files with the same bytes have the same unit."""
    keys = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    hashes = [_hash(file) for file in files]
    hashed = [(key, one) for key, one in zip(keys, hashes, strict=True) if one is not None]
    clusters = near_duplicates.find_clusters([one for _, one in hashed], IngestionConfig().near_duplicate_bits)
    unit = {key: hashed[first][0] for (key, _), first in zip(hashed, clusters, strict=True)}
    return {file: unit.get(key, key) for file, key in zip(files, keys, strict=True)}


def _hash(file: Path) -> near_duplicates.PerceptualHash | None:
    with PIL.Image.open(file) as image:
        return near_duplicates.perceptual_hash(near_duplicates.shrink(np.asarray(image.convert("RGB"))))


def partition(images: Mapping[str, Files], units: Mapping[Path, str], count: int, seed: int) -> list[Split]:
    """Divides images into folds, each with as equal a share of every class as whole units allow.

    In random order, each unit goes to the fold that has the fewest images of the class that the unit has most of.

    Args:
      images: class name to files.
      units: file to its unit, which stays in one fold.
      count: of folds.
      seed: of the order.
    """
    members: dict[str, list[tuple[str, Path]]] = defaultdict(list)
    for name, files in images.items():
        for file in sorted(files):
            members[units[file]].append((name, file))
    folds: list[Split] = [{name: [] for name in images} for _ in range(count)]
    found = list(members.values())
    for index in np.random.default_rng(seed).permutation(len(found)):
        most = Counter(name for name, _ in found[index]).most_common(1)[0][0]
        fold = min(folds, key=lambda one: len(one[most]))
        for name, file in found[index]:
            fold[name].append(file)
    return folds


def _hold_out(drawn: Split, units: Mapping[Path, str], seed: int) -> tuple[Split, Split]:
    """Divides what was drawn into train and eval."""
    folds = partition(drawn, units, _EVAL_FOLDS, seed)
    target = sum(map(len, drawn.values())) / _EVAL_FOLDS

    def fitness(fold: Split) -> tuple[int, float]:
        return sum(not files for files in fold.values()), abs(sum(map(len, fold.values())) - target)

    evaluation = min(folds, key=fitness)
    kept = {name: set(files) - set(evaluation[name]) for name, files in drawn.items()}
    train = {name: sorted(files) for name, files in kept.items()}
    for split, held in ((TRAIN, train), (EVAL, evaluation)):
        if empty := sorted(name for name, files in held.items() if not files):
            raise ValueError(f"{split}: has no image of {', '.join(empty)}; use more images per class")
    return train, evaluation


def _by_class(folder: Path) -> Split:
    found = {
        child.name: sorted(file for file in child.rglob("*") if file.suffix.lower() in _SUFFIXES)
        for child in sorted(folder.iterdir())
        if child.is_dir() and not child.name.startswith(".")
    }
    if len(found) < 2 or not all(found.values()):
        raise ValueError(f"{folder}: two folders or more, one per class and each with images, are expected")
    return found


def _take_each(images: Split, count: int, seed: int) -> Split:
    return {name: _take(files, count, name, seed) for name, files in images.items()}


def _take(files: Files, count: int | None, name: str, seed: int) -> Files:
    """Some files of a class. With the same seed, fewer files are always some of more files."""
    if count is None:
        return files
    if count > len(files):
        raise ValueError(f"{name}: {count} images are wanted of {len(files)}; use fewer images per class")
    if count < 1:
        raise ValueError(f"{name}: no image is wanted of {len(files)}; use at least one image per class")
    generator = np.random.default_rng([seed, *name.encode()])
    return sorted(files[index] for index in generator.permutation(len(files))[:count])


def link(splits: Mapping[str, Split], folder: Path) -> None:
    """Writes `<split>/<class>/` folders of links to the images."""
    for split, classes in splits.items():
        for name, files in classes.items():
            (folder / split / name).mkdir(parents=True)
            for number, file in enumerate(files):
                (folder / split / name / f"{number:06d}{file.suffix.lower()}").symlink_to(file.resolve())
