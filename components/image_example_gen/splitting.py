"""Which split an image belongs to.

A *unit* is what must stay together: an image by itself, a group (a patient, a scene, a camera), or several of those
that an image, or a resemblance, joins. A unit's split is decided by a hash of its own; what else there is doesn't
count, unless `stratified`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from components.image_example_gen.settings import EVAL, TEST, TRAIN

_STRICTEST = (TEST, EVAL, TRAIN)  # where a picture goes that is said to be on two sides: never out of the test


def unit_of(key: str, group: str) -> str:
    """The unit of an image, 64 hexadecimal digits.

    Args:
      key: SHA-256 of the image's bytes, hexadecimal.
      group: empty if it is in none.
    """
    return hashlib.sha256(f"group {group}".encode()).hexdigest() if group else key


def split_of(unit: str, splits: Mapping[str, int]) -> str:
    """Chooses a split by a hash.

    Args:
      unit: hexadecimal digits of a hash.
      splits: split name to its share, positive integers; the order counts.

    Returns:
      the name of the split.
    """
    bucket = int(unit, 16) % sum(splits.values())
    for name, share in splits.items():
        if bucket < share:
            return name
        bucket -= share
    raise AssertionError("unreachable: the bucket is below the sum of the shares")


def strictest(named: Collection[str]) -> str:
    """Of the splits that a unit's images are named for, the one it goes to; empty if none is."""
    return next((split for split in _STRICTEST if split in named), "")


def shares_for(named_split: str, named: Collection[str], splits: Mapping[str, int]) -> dict[str, int]:
    """Among which splits the hash decides.

    What the source names a split for goes there. An eval or test that it names is complete: what it names no split for
    goes to train and to those of the two that nothing is named for. If everything is named, but nothing for eval or
    test, that is cut out of train.

    Args:
      named_split: what the source says of this unit; may be empty.
      named: all that it says of any, the empty name too.
      splits: shares.

    Returns:
      shares of some splits, at least one.
    """
    open_ones = {name: share for name, share in splits.items() if name == TRAIN or name not in named}
    if not named_split or (named_split == TRAIN and "" not in named):
        return open_ones
    return {named_split: splits[named_split]}


@dataclass(frozen=True, order=True)
class Stratum:
    """A unit as part of a class: its hash, how many images it has, and its shares."""

    unit: str
    images: int
    shares: tuple[tuple[str, int], ...]


def stratified(members: Sequence[Stratum]) -> dict[str, str]:
    """Splits of one class's units so that each split has its share of the class as nearly as units allow.

    In the order of their hashes; each split gets one unit at least, if there are three. One more image can move one
    other into or out of test, and one into or out of eval.

    Args:
      members: in any order.

    Returns:
      unit to split.
    """
    chosen: dict[str, str] = {}
    for shares in sorted({member.shares for member in members}):
        chosen |= _stratified(sorted(member for member in members if member.shares == shares), dict(shares))
    return chosen


def _stratified(members: list[Stratum], shares: Mapping[str, int]) -> dict[str, str]:
    """Test takes the lowest hashes, eval the highest, so that neither's boundary moves the other's."""
    if TRAIN not in shares:
        return {member.unit: split_of(member.unit, shares) for member in members}
    images, total, left = sum(member.images for member in members), sum(shares.values()), list(members)
    chosen: dict[str, str] = {}
    for split, end in ((TEST, 0), (EVAL, -1)):
        wanted = max(1, round(images * shares[split] / total)) if split in shares else 0
        kept_for_others = 2 if split == TEST and EVAL in shares else 1
        while wanted > 0 and len(left) > kept_for_others:
            member = left.pop(end)
            chosen[member.unit] = split
            wanted -= member.images
    return chosen | {member.unit: TRAIN for member in left}


def joined(pairs: Collection[tuple[str, str]]) -> dict[str, str]:
    """Unit to the one that stands for all it is joined with, the lowest of them.

    Args:
      pairs: units that must stay together.
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
