"""How often images change their split as data grows: `python -m benchmarks.splits`.

`data.stratified`: classes grow from 3 images to 100, one by one. Compared are `auto`; stratifying a class as a whole as
long as a split has none of it; `true`; and `false`, which moves nothing but leaves splits without the class.

`data.near_duplicates: group`: the demo's photos come in random order, step by step; and the largest cluster of drawn
images that a fixed camera could have taken, of one background with a small square.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import PIL.Image

from components.image_example_gen import near_duplicates, splitting
from components.image_example_gen.splitting import ClassUnit
from config.data import SPLITS, TEST, TRAIN, IngestionConfig, Splits

_SHARES = Splits().shares
_BITS = IngestionConfig().near_duplicate_bits
_FIRST, _LAST = 3, 100  # images of a class

Assignment = dict[str, str]  # unit to split


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, default=300)
    parser.add_argument("--photos", type=Path, default=Path("data/traffic_lights"), help="of `make run`")
    parser.add_argument("--step", type=int, default=100, help="photos that come at a time; default 100")
    parser.add_argument("--images", type=int, default=500, help="of the fixed camera, drawn; default 500")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    _compare_rules(options.classes, options.seed)
    _grow_photos(options.photos, options.step, options.seed)
    _fixed_camera(options.images, options.seed)


def _compare_rules(classes: int, seed: int) -> None:
    sys.stdout.write(
        f"{classes} classes, {_FIRST} to {_LAST} images: moves per class; of them from train to test; share"
    )
    sys.stdout.write(" of states in which a split has none of the class\n")
    for name, rule in (("auto", _fill), ("whole class", _whole), ("true", splitting.stratify), ("false", _by_hash)):
        moves = into_test = without = 0
        for number in range(classes):
            units = [_unit(f"{seed} {number} {image}") for image in range(_LAST)]
            before: Assignment = {}
            for count in range(_FIRST, _LAST + 1):
                now = rule(units[:count])
                moved = [unit for unit in before if now[unit] != before[unit]]
                moves += len(moved)
                into_test += sum((before[unit], now[unit]) == (TRAIN, TEST) for unit in moved)
                without += set(now.values()) != set(SPLITS)
                before = now
        share = without / classes / (_LAST + 1 - _FIRST)
        sys.stdout.write(f"  {name:12} {moves / classes:6.1f} {into_test / classes:6.2f} {share:8.1%}\n")


def _unit(name: str) -> ClassUnit:
    return ClassUnit(hashlib.sha256(name.encode()).hexdigest(), 1, tuple(_SHARES.items()))


def _by_hash(units: Sequence[ClassUnit]) -> Assignment:
    return {unit.unit: splitting.split_of(unit.unit, _SHARES) for unit in units}


def _empty(units: Sequence[ClassUnit]) -> set[str]:
    return set(SPLITS) - set(_by_hash(units).values())


def _fill(units: Sequence[ClassUnit]) -> Assignment:
    return splitting.fill_empty_splits(units, _empty(units)) if _empty(units) else _by_hash(units)


def _whole(units: Sequence[ClassUnit]) -> Assignment:
    return splitting.stratify(units) if _empty(units) else _by_hash(units)


def _grow_photos(folder: Path, step: int, seed: int) -> None:
    files = sorted(folder.rglob("*.jpg"))
    if len(files) <= 2 * step:
        sys.stdout.write(
            f"{folder}: {len(files)} photos, and more than {2 * step} are needed; `make run` copies them\n"
        )
        return
    random.Random(seed).shuffle(files)  # noqa: S311  an order, no secret
    keys = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    hashes = [_hash(np.asarray(PIL.Image.open(file).convert("RGB"))) for file in files]
    before: Assignment = {}
    shares, into_test = [], []
    for count in [*range(2 * step, len(files), step), len(files)]:
        now = _grouped(keys[:count], hashes[:count])
        if before:
            moved = [key for key in before if now[key] != before[key]]
            shares.append(len(moved) / len(before))
            into_test.append(sum(before[key] == TRAIN for key in moved))
        before = now
    sys.stdout.write(
        f"{len(files)} photos in steps of {step}, near_duplicates: group: of those that were there, "
        f"{statistics.mean(shares):.1%} moved (at most {max(shares):.1%}), {statistics.mean(into_test):.1f} "
        "out of train\n"
    )


def _grouped(keys: Sequence[str], hashes: Sequence[near_duplicates.PerceptualHash | None]) -> Assignment:
    """Splits by hash, each cluster as a whole; its lowest key decides."""
    hashed = [(key, one) for key, one in zip(keys, hashes, strict=True) if one is not None]
    clusters = near_duplicates.find_clusters([one for _, one in hashed], _BITS)
    merged = splitting.merge_units([(key, hashed[first][0]) for (key, _), first in zip(hashed, clusters, strict=True)])
    return {key: splitting.split_of(merged.get(key, key), _SHARES) for key in keys}


def _fixed_camera(images: int, seed: int, side: int = 256) -> None:
    generator = np.random.default_rng(seed)
    small = PIL.Image.fromarray(generator.integers(0, 256, (8, 8, 3), np.uint8))
    background = np.asarray(small.resize((side, side), PIL.Image.Resampling.BICUBIC))
    draw: Callable[[int], np.ndarray] = lambda size: _with_square(background, size, generator)  # noqa: E731
    for size in (16, 32, 64):
        clusters = near_duplicates.find_clusters(
            [found for _ in range(images) if (found := _hash(draw(size))) is not None], _BITS
        )
        largest = np.unique(clusters, return_counts=True)[1].max() / images
        sys.stdout.write(f"fixed camera, {images} images, square of {size}: the largest cluster has {largest:.0%}\n")


def _with_square(background: np.ndarray, size: int, generator: np.random.Generator) -> np.ndarray:
    image = background.copy()
    top, left = generator.integers(0, image.shape[0] - size, 2)
    image[top : top + size, left : left + size] = generator.integers(0, 256, 3)
    return image


def _hash(pixels: np.ndarray) -> near_duplicates.PerceptualHash | None:
    return near_duplicates.perceptual_hash(near_duplicates.shrink(pixels))


if __name__ == "__main__":
    main()
