"""The rules for which split an image is in.

A *unit* is a set of images that must be in the same split: one image, a group (a patient, a scene, a camera), or
several of these, connected by an image in two groups or by near-duplicates. The unit's own hash decides its split.
Other images matter only if the split is stratified, or a class is so small that a split would have none of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from config.data import EVAL, TEST, TRAIN

_STRICTEST_FIRST = (TEST, EVAL, TRAIN)  # an image that the source assigns to two splits must not leave the test split


def unit_of(key: str, group: str) -> str:
    """The unit of an image, 64 hexadecimal digits.

    Args:
      key: SHA-256 of the image's bytes, hexadecimal.
      group: empty if the image has none.
    """
    return hashlib.sha256(f"group {group}".encode()).hexdigest() if group else key


def split_of(unit: str, shares: Mapping[str, int]) -> str:
    """Chooses a split by a hash.

    Args:
      unit: hexadecimal digits of a hash.
      shares: split name to its share, positive integers; the order counts.

    Returns:
      the name of the split.
    """
    bucket = int(unit, 16) % sum(shares.values())
    for name, share in shares.items():
        if bucket < share:
            return name
        bucket -= share
    raise AssertionError("unreachable: the bucket is below the sum of the shares")


def strictest_first(source_splits: Collection[str]) -> list[str]:
    """The splits to which the source assigns images, test first; without the empty name."""
    return [split for split in _STRICTEST_FIRST if split in source_splits]


def strictest_split(source_splits: Collection[str]) -> str:
    """The one split for images that the source assigns to several; empty if it assigns them to none."""
    return next(iter(strictest_first(source_splits)), "")


def allowed_shares(unit_split: str, source_splits: Collection[str], shares: Mapping[str, int]) -> dict[str, int]:
    """The splits among which the hash decides.

    A unit that the source assigns to a split stays there. Once the source assigns any image to eval or test, that split
    is complete: for units that the source does not assign, the hash decides between train and those of eval and test
    that have no assigned images. If the source assigns every image, but none to eval or none to test, the missing split
    is taken out of train.

    Args:
      unit_split: to which the source assigns this unit; may be empty.
      source_splits: to which the source assigns any image; contains the empty name if some images have no split.
      shares: of all splits.

    Returns:
      shares of some splits, at least one.
    """
    open_splits = {name: share for name, share in shares.items() if name == TRAIN or name not in source_splits}
    if not unit_split or (unit_split == TRAIN and "" not in source_splits):
        return open_splits
    return {unit_split: shares[unit_split]}


@dataclass(frozen=True, order=True)
class ClassUnit:
    """A unit, counted for one class.

    Attributes:
      unit: its hash.
      images: how many it has.
      shares: see `allowed_shares`, as pairs.
    """

    unit: str
    images: int
    shares: tuple[tuple[str, int], ...]


def stratify(units: Sequence[ClassUnit]) -> dict[str, str]:
    """Splits the units of one class so that each split has its share of the class as nearly as the units allow.

    The units are ordered by their hashes. If there are three units or more, each split gets at least one. Adding an
    image may move at most one other into or out of test, and one into or out of eval.

    Args:
      units: in any order.

    Returns:
      unit to split.
    """
    assigned: dict[str, str] = {}
    for shares in sorted({unit.shares for unit in units}):
        assigned |= _stratify_alike(sorted(unit for unit in units if unit.shares == shares), dict(shares))
    return assigned


def fill_empty_splits(units: Sequence[ClassUnit], empty: Collection[str]) -> dict[str, str]:
    """Gives a class its share in the splits in which the hashes put none of its units.

    Each empty split takes its share, at least one unit, of those that the hashes put into train: test those with the
    lowest hashes, eval those with the highest; test first, if there are two units in all. The other units stay, unless
    train has too few to give. Once an added unit is in that split by its own hash, these units return to train.

    Args:
      units: one or more, of one class, with the same shares, in any order.
      empty: splits without units of the class; those that are not in the units' shares stay empty.

    Returns:
      unit to split, for all units.
    """
    shares, in_order = dict(units[0].shares), sorted(units)
    assigned = {unit.unit: split_of(unit.unit, shares) for unit in in_order}
    empty = set(empty) & set(shares)
    lenders = [unit for unit in in_order if assigned[unit.unit] == TRAIN]
    if len(lenders) <= len(empty) and (len(units) > len(empty) or empty & {TRAIN, TEST}):
        assigned, empty, lenders = dict.fromkeys(assigned, TRAIN), set(shares), in_order
    images, total = sum(unit.images for unit in in_order), sum(shares.values())
    for split, end in ((TEST, 0), (EVAL, -1)):
        wanted = max(1, round(images * shares[split] / total)) if split in shares and split in empty else 0
        kept_for_others = 2 if split == TEST and EVAL in shares and EVAL in empty and len(lenders) > 2 else 1
        while wanted > 0 and len(lenders) > kept_for_others:
            unit = lenders.pop(end)
            assigned[unit.unit] = split
            wanted -= unit.images
    return assigned


def _stratify_alike(units: list[ClassUnit], shares: Mapping[str, int]) -> dict[str, str]:
    """Stratifies units with the same shares.

    Test takes the lowest hashes, eval the highest. So the boundary of one never moves the boundary of the other.
    """
    if TRAIN not in shares:
        return {unit.unit: split_of(unit.unit, shares) for unit in units}
    images, total, remaining = sum(unit.images for unit in units), sum(shares.values()), list(units)
    assigned: dict[str, str] = {}
    for split, end in ((TEST, 0), (EVAL, -1)):
        wanted = max(1, round(images * shares[split] / total)) if split in shares else 0
        kept_for_others = 2 if split == TEST and EVAL in shares else 1
        while wanted > 0 and len(remaining) > kept_for_others:
            unit = remaining.pop(end)
            assigned[unit.unit] = split
            wanted -= unit.images
    return assigned | {unit.unit: TRAIN for unit in remaining}


def merge_units(pairs: Collection[tuple[str, str]]) -> dict[str, str]:
    """Merges units that must be in the same split.

    Args:
      pairs: of units that must stay together.

    Returns:
      unit to the lowest unit of all that it is connected to; only units that are in a pair.
    """
    parent: dict[str, str] = {}

    def root(unit: str) -> str:
        while parent.setdefault(unit, unit) != unit:
            parent[unit] = parent[parent[unit]]
            unit = parent[unit]
        return unit

    for one, other in pairs:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    return {unit: root(unit) for unit in parent}
