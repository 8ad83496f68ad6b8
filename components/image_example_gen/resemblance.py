"""Near-duplicates: pictures that a person would call the same, of which the bytes differ.

A perceptual hash (the package ImageHash's phash: the signs of an image's lowest frequencies,
https://www.hackerfactor.com/blog/index.php?/archives/432-Looks-Like-It.html) finds pictures of the same structure, and
a mosaic of their colours tells those apart that share nothing but that.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import imagehash
import numpy as np
import PIL.Image
import scipy.sparse

BITS = 64
_MOSAIC = 4  # tiles a side
_COLOUR_DIFFERENCE = 24  # mean over the mosaic's tiles and channels, of 255
_PLAIN = 3.0  # standard deviation of the luma, of 255, below which the hash would be that of noise
_SMALL = 128  # pixels: what the hash is taken of
_AT_ONCE = 1 << 18  # pairs compared at a time


class Look(NamedTuple):
    """What images are compared by.

    Attributes:
      bits: the perceptual hash, 64 bits.
      mosaic: mean colours of 4 × 4 tiles, 48 bytes.
    """

    bits: int
    mosaic: bytes


def reduced(pixels: np.ndarray) -> PIL.Image.Image:
    """The image by a whole factor smaller, if it is large; each pixel is the mean of a square of others.

    Args:
      pixels: uint8 [height, width, 3], RGB.
    """
    image = PIL.Image.fromarray(pixels)
    factor = min(image.size) // _SMALL
    return image.reduce(factor) if factor > 1 else image


def look(image: PIL.Image.Image) -> Look | None:
    """What an image is compared by; None for one with next to nothing in it.

    Args:
      image: as `reduced` gives it.
    """
    grey = image.convert("L")
    if np.asarray(grey).std() < _PLAIN:
        return None
    bits = int(str(imagehash.phash(grey)), 16)
    return Look(bits, image.resize((_MOSAIC, _MOSAIC), PIL.Image.Resampling.BOX).tobytes())


def clusters(looks: Sequence[Look], bits: int) -> np.ndarray:
    """Puts images together that resemble each other, directly or by way of others.

    Args:
      looks: of the images.
      bits: by how many bits two hashes may differ.

    Returns:
      int64 [images]: the index of the first image of each one's cluster.
    """
    first: dict[Look, int] = {}
    for index, one in enumerate(looks):
        first.setdefault(one, index)
    distinct = np.array(list(first.values()), np.int64)
    found = distinct[_distinct_clusters(list(first), bits)]
    place = dict(zip(first, found.tolist(), strict=True))
    return np.array([place[one] for one in looks], np.int64)


def _distinct_clusters(looks: Sequence[Look], bits: int) -> np.ndarray:
    hashes = np.array([one.bits for one in looks], np.uint64)
    mosaics = np.array([np.frombuffer(one.mosaic, np.uint8) for one in looks], np.int16).reshape(-1, _MOSAIC**2 * 3)
    links = [(np.zeros(0, np.int64),) * 2]
    # Two hashes that differ by `bits` at most agree in at least one of `bits + 1` bands.
    for band in np.array_split(np.arange(BITS, dtype=np.uint64), bits + 1):
        of_band = (hashes >> band[0]) & np.uint64(2 ** len(band) - 1)
        order = np.argsort(of_band, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(of_band[order]) != 0, True])
        for start, end in itertools.pairwise(starts):
            if end - start > 1:
                links.append(_links(order[start:end], hashes, mosaics, bits))
    one, other = (np.concatenate(side) for side in zip(*links, strict=True))
    return _first_of_each(one, other, len(looks))


def _links(members: np.ndarray, hashes: np.ndarray, mosaics: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs among the members that resemble each other, no more than hold each cluster together."""
    step = max(1, _AT_ONCE // len(members))
    one = other = np.zeros(0, np.int64)
    for start in range(0, len(members), step):
        some = members[start : start + step]
        near = np.bitwise_count(hashes[some, None] ^ hashes[None, members]) <= bits
        row, column = np.nonzero(near)
        left, right = some[row], members[column]
        left, right = left[left < right], right[left < right]
        alike = np.abs(mosaics[left] - mosaics[right]).mean(axis=1) <= _COLOUR_DIFFERENCE
        one, other = np.r_[one, left[alike]], np.r_[other, right[alike]]
        if len(one) > 2 * len(members):  # of a thousand frames of one scene each resembles each
            one, other = _fewer(np.sort(members), one, other)
    return one, other


def _fewer(members: np.ndarray, one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Links that hold the same clusters together, one an image."""
    first = _first_of_each(np.searchsorted(members, one), np.searchsorted(members, other), len(members))
    return members[first], members


def _first_of_each(one: np.ndarray, other: np.ndarray, count: int) -> np.ndarray:
    graph = scipy.sparse.coo_matrix((np.ones(len(one), bool), (one, other)), shape=(count, count))
    _, component = scipy.sparse.csgraph.connected_components(graph, directed=False)
    _, first, inverse = np.unique(component, return_index=True, return_inverse=True)
    return first[inverse]
