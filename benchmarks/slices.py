"""How often a bad part of the test images is found, and how often one is reported that is none: simulations.

    python -m benchmarks.slices search --simulations 200
    python -m benchmarks.slices sizes --simulations 200
    python -m benchmarks.slices shortcuts --simulations 200
    python -m benchmarks.slices pairs data/cifar10/train data/cifar10/test

`search` compares the search for bad slices with its rivals: finding on one half of the test images and confirming on
the other, or testing all candidates on all images; within the classes (Birch's test), or over all images (Fisher's).
`sizes` compares groups of several sizes. A cell of both has how often a bad part is found, and how often a part is
reported in which bad images are not more frequent than elsewhere.
`shortcuts` compares the ranges by which facts predict the classes with a decision tree, for facts that tell the classes
apart and facts that don't. `pairs` measures brightness, sharpness, size and aspect ratio of real images, in folders of
classes, and says how well they tell two classes apart, and each class from all others: ordinary data must not warn.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image
from sklearn.tree import DecisionTreeClassifier

from components.evaluator import slice_candidates, slice_test
from components.image_example_gen import content, near_duplicates, shortcuts

_LEVEL = 0.05
_SIZES = ((25,), (50,), (25, 50), (25, 100), (20, 50, 120))
_TESTED = ((200, 3), (600, 3), (2000, 10))  # test images and classes
_BOUNDS = (0.6, 0.7, 0.8, 0.9)
_SHOWN = 8  # rows of `pairs`
_NAMES = {"camera": 6, "farm": 12, "brightness": 5, "sharpness": 5, "aspect": 3, "format": 2}  # number of values


@dataclass(frozen=True, eq=False)
class TestSplit:
    """Simulated test images.

    Attributes:
      facts: name to value of each image.
      vectors: float32 [images, features].
      labels: int64 [images].
      right: bool [images].
      bad: bool [images]: where the model is worse than on other images of the same class.
    """

    facts: dict[str, list[str]]
    vectors: np.ndarray
    labels: np.ndarray
    right: np.ndarray
    bad: np.ndarray


def simulated(random: np.random.Generator, images: int, classes: int, planted: str, share: float = 0.1) -> TestSplit:
    """Images of classes that are hard to a different degree; the farm depends on the class.

    Args:
      random: numbers.
      images: how many.
      classes: how many.
      planted: where the model is right with 65 % only: "" (nowhere), "camera" or "cluster".
      share: of the images that are bad.
    """
    labels = random.integers(classes, size=images)
    facts = {name: random.integers(values, size=images) for name, values in _NAMES.items()}
    facts["farm"] = np.where(random.random(images) < 0.7, labels % _NAMES["farm"], facts["farm"])
    kinds = random.integers(3, size=images)  # each class has three kinds of images
    centres = random.normal(size=(classes, 3, 64))
    bad = np.zeros(images, bool)
    if planted:
        bad = random.random(images) < share
    if planted == "camera":
        facts["camera"] = np.where(bad, 6, facts["camera"])
    vectors = 1.5 * centres[labels, kinds] + random.normal(size=(images, 64))
    if planted == "cluster":
        vectors[bad] = (
            1.5 * random.normal(size=64) + 0.5 * centres[labels, kinds][bad] + random.normal(size=(bad.sum(), 64))
        )
    accuracy = np.linspace(0.85, 0.99, classes)[labels]
    right = random.random(images) < np.where(bad, 0.65, accuracy)
    texts = {name: [f"{value}" for value in values] for name, values in facts.items()}
    return TestSplit(texts, vectors.astype(np.float32), labels, right, bad)


Test = Callable[[np.ndarray, np.ndarray, np.ndarray], float]


def fisher(part: np.ndarray, right: np.ndarray, labels: np.ndarray) -> float:
    """Fisher's exact test over all classes together."""
    return slice_test.probability(part, right, np.zeros_like(labels))


@functools.lru_cache(maxsize=8)  # several methods test the parts of one split
def candidates(split: TestSplit, sizes: tuple[int, ...] | None = None) -> list[np.ndarray]:
    """The parts that are tested."""
    parts = slice_candidates.of_clusters(split.vectors, *(() if sizes is None else (sizes,)))
    for name, texts in split.facts.items():
        parts |= slice_candidates.of_values(name, texts)
    return list(parts.values())


def split_in_halves(split: TestSplit, half: np.ndarray, test: Test) -> list[np.ndarray]:
    """Finds on one half what is suspect at 5 %, and confirms it on the other half with Holm's correction."""

    def on(chosen: np.ndarray, part: np.ndarray) -> float:
        return test(part[chosen], split.right[chosen], split.labels[chosen])

    suspects = [part for part in candidates(split) if on(half, part) <= _LEVEL]
    adjusted = slice_test.holm([on(~half, part) for part in suspects])
    return [part for part, value in zip(suspects, adjusted, strict=True) if value <= _LEVEL]


def on_all_images(
    split: TestSplit, half: np.ndarray, test: Test, sizes: tuple[int, ...] | None = None
) -> list[np.ndarray]:
    """Tests each candidate on all images with Holm's correction."""
    del half
    parts = candidates(split, sizes)
    adjusted = slice_test.holm([test(part, split.right, split.labels) for part in parts])
    return [part for part, value in zip(parts, adjusted, strict=True) if value <= _LEVEL]


Method = Callable[[TestSplit, np.ndarray, Test], list[np.ndarray]]
METHODS = {
    "halves, within classes": (split_in_halves, slice_test.probability),
    "all images, within classes": (on_all_images, slice_test.probability),
    "halves, Fisher": (split_in_halves, fisher),
    "all images, Fisher": (on_all_images, fisher),
}


def search(simulations: int, largest: int) -> Iterator[str]:
    """A table of how often each method finds what is planted, and how often it reports what is not.

    Args:
      simulations: of each row.
      largest: rows with more images are left out; so they are in the other tables.
    """
    yield f"| test images | planted | {' | '.join(METHODS)} |"
    yield "|---" * (2 + len(METHODS)) + "|"
    for images, classes in _up_to(largest, _TESTED):
        for planted in ("", "camera", "cluster"):
            yield _row(simulations, images, classes, planted, METHODS)


def _up_to(largest: int, rows: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    return [row for row in rows if row[0] <= largest]


def sizes(simulations: int, largest: int) -> Iterator[str]:
    """The same for groups of several sizes, with the method that is used."""
    methods = {
        " and ".join(map(str, one)): (functools.partial(on_all_images, sizes=one), slice_test.probability)
        for one in _SIZES
    }
    yield f"| test images | planted | groups of {' | '.join(methods)} |"
    yield "|---" * (2 + len(methods)) + "|"
    for images, classes in _up_to(largest, _TESTED):
        for planted in ("", "cluster"):
            yield _row(simulations, images, classes, planted, methods)


def _row(simulations: int, images: int, classes: int, planted: str, methods: Mapping[str, tuple[Method, Test]]) -> str:
    found, false = dict.fromkeys(methods, 0), dict.fromkeys(methods, 0)
    for seed in range(simulations):
        split = simulated(np.random.default_rng(seed), images, classes, planted)
        half = np.random.default_rng([seed, 1]).random(images) < 0.5
        for name, (method, test) in methods.items():
            parts = method(split, half, test)
            found[name] += any(split.bad[part].mean() > 0.5 for part in parts)
            false[name] += any(split.bad[part].mean() <= split.bad.mean() for part in parts)
    rates = [(found[name] / simulations, false[name] / simulations) for name in methods]
    cells = " | ".join(f"{hit:.0%} / {miss:.0%}" if planted else f"– / {miss:.0%}" for hit, miss in rates)
    return f"| {images} | {planted or 'nothing'} | {cells} |"


def _facts(random: np.random.Generator, labels: np.ndarray, effect: str) -> dict[str, np.ndarray]:
    """A number that depends on the class: not at all, a little (airplanes are bright), or of one class alone."""
    shift = {"none": 0.0, "weak": 0.7, "one class": 4.0}[effect]
    return {"brightness": random.normal(size=len(labels)) + shift * (labels == 0)} | {
        f"other {number}": random.normal(size=len(labels)) for number in range(5)
    }


def _only(facts: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {"brightness": facts["brightness"]}


def _tree(train: np.ndarray, labels: np.ndarray, held_out: np.ndarray, truth: np.ndarray) -> float:
    """Balanced accuracy of a tree with 8 leaves for class 0 against all others."""
    tree = DecisionTreeClassifier(max_leaf_nodes=8, min_samples_leaf=5, class_weight="balanced", random_state=0)
    tree.fit(train[:, None], labels == 0)
    right = tree.predict(held_out[:, None]) == (truth == 0)
    return float((right[truth == 0].mean() + right[truth != 0].mean()) / 2)


def shortcut_rates(simulations: int, largest: int) -> Iterator[str]:
    """A table of how often a fact is reported, by its lowest bound, and the balanced accuracy beside that of a tree."""
    heads = ["images", "classes", "effect", "balanced accuracy", "tree", *(f"from {bound}" for bound in _BOUNDS)]
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    for images, classes in _up_to(largest, list(itertools.product((150, 1000, 10_000), (2, 10)))):
        for effect in ("none", "weak", "one class"):
            yield _shortcut_row(simulations, images, classes, effect)


def _shortcut_row(simulations: int, images: int, classes: int, effect: str) -> str:
    reported, own, trees = dict.fromkeys(_BOUNDS, 0), [], []
    for seed in range(simulations):
        random = np.random.default_rng([seed, images, classes])
        labels = random.integers(classes, size=images)
        names, facts = [f"{label}" for label in labels], _facts(random, labels, effect)
        cut = images * 8 // 10
        train, held_out = {n: fact[:cut] for n, fact in facts.items()}, {n: fact[cut:] for n, fact in facts.items()}
        found = shortcuts.find(train, names[:cut], held_out, names[cut:], _BOUNDS[0])
        for bound in _BOUNDS:
            reported[bound] += any(one.lower >= bound for one in found)
        first = ["0" if name == "0" else "other" for name in names]
        if (labels[cut:] == 0).any():
            alone = shortcuts.find(_only(train), first[:cut], _only(held_out), first[cut:], 0.0)
            own += [one.accuracy for one in alone]
            trees.append(_tree(train["brightness"], labels[:cut], held_out["brightness"], labels[cut:]))
    cells = " | ".join(f"{reported[bound] / simulations:.0%}" for bound in _BOUNDS)
    return f"| {images} | {classes} | {effect} | {np.mean(own):.1%} | {np.mean(trees):.1%} | {cells} |"


def pairs(train: Path, held_out: Path) -> Iterator[str]:
    """The facts that tell classes of real images apart best, with the lower bound that decides on the warning."""
    tables = [_measured(folder) for folder in (train, held_out)]
    classes = sorted(set(tables[0][1]))
    yield "| classes | fact | balanced accuracy | lower bound |"
    yield "|---|---|---|---|"
    of_all = shortcuts.find(*tables[0], *tables[1], 0.5)
    rows = [(one.lower, one.accuracy, one.fact, f"{one.label} and all others") for one in of_all]
    for pair in itertools.combinations(classes, 2):
        found = shortcuts.find(*_of_classes(tables[0], pair), *_of_classes(tables[1], pair), 0.5)
        rows += [(one.lower, one.accuracy, one.fact, " and ".join(pair)) for one in found]
    for lower, accuracy, fact, names in sorted(rows, reverse=True)[:_SHOWN]:
        yield f"| {names} | {fact} | {accuracy:.1%} | {lower:.1%} |"


Labelled = tuple[dict[str, np.ndarray], list[str]]  # name to a fact about each image, and its class


def _measured(folder: Path) -> Labelled:
    files = sorted(file for file in folder.glob("*/*") if file.suffix.lower() in (".png", ".jpg", ".jpeg"))
    rows = []
    for file in files:
        with PIL.Image.open(file) as image:
            pixels = np.asarray(image.convert("RGB"))
        measured = content.measure(near_duplicates.shrink(pixels))
        height, width = pixels.shape[:2]
        rows.append((measured.brightness, measured.sharpness, min(height, width), width / height))
    names = ("brightness", "sharpness", "the size", "the aspect ratio")
    return dict(zip(names, np.array(rows).T, strict=True)), [file.parent.name for file in files]


def _of_classes(table: Labelled, classes: Collection[str]) -> Labelled:
    rows = [number for number, label in enumerate(table[1]) if label in classes]
    return {name: fact[rows] for name, fact in table[0].items()}, [table[1][row] for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("search", "sizes", "shortcuts", "pairs"))
    parser.add_argument("folders", type=Path, nargs="*", help="for pairs: training and held-out images")
    parser.add_argument("--simulations", type=int, default=200)
    parser.add_argument("--images", type=int, default=10_000, help="rows with more simulated images are left out")
    options = parser.parse_args()
    simulations = {"search": search, "sizes": sizes, "shortcuts": shortcut_rates}
    if options.what == "pairs":
        rows = pairs(*options.folders)
    else:
        rows = simulations[options.what](options.simulations, options.images)
    for row in rows:
        sys.stdout.write(row + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
