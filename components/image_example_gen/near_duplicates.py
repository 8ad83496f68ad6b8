"""Near-duplicates: images that a person would call the same although their bytes differ.

A perceptual hash (`phash` of the package ImageHash: the signs of an image's lowest frequencies,
https://www.hackerfactor.com/blog/index.php?/archives/432-Looks-Like-It.html) finds images of the same structure. A
mosaic of their colours tells apart images that have only the structure in common.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import imagehash
import numpy as np
import PIL.Image
import scipy.sparse

from components.image_example_gen import content

BITS = 64
_MOSAIC_SIDE = 4  # tiles
_MAX_COLOUR_DIFFERENCE = 24  # of 255; mean over the mosaic's tiles and channels
_MIN_CONTRAST = 3.0  # of 255; standard deviation of the luma, below which the hash would depend on noise alone
_HASHED_SIDE = 128  # pixels; size of the image of which the hash is taken
_PAIRS = 1 << 18  # compared at a time


class PerceptualHash(NamedTuple):
    """By what images are compared.

    Attributes:
      bits: ImageHash's `phash`, 64 bits.
      mosaic: mean colours of 4 × 4 tiles, 48 bytes.
    """

    bits: int
    mosaic: bytes


def shrink(pixels: np.ndarray) -> PIL.Image.Image:
    """Reduces a large image by a whole factor; each pixel becomes the mean of a square of pixels.

    Args:
      pixels: uint8 [height, width, 3], RGB.
    """
    image = PIL.Image.fromarray(pixels)
    factor = reduction(image.size)
    return image.reduce(factor) if factor > 1 else image


def reduction(size: tuple[int, int]) -> int:
    """The factor by which `shrink` reduces an image of this width and height; 1 or more."""
    return max(1, min(size) // _HASHED_SIDE)


def perceptual_hash(image: PIL.Image.Image) -> PerceptualHash | None:
    """The hash of an image; None if the image is nearly plain.

    Args:
      image: as `shrink` returns it.
    """
    grey = image.convert("L")
    if content.contrast(grey) < _MIN_CONTRAST:
        return None
    bits = int.from_bytes(np.packbits(imagehash.phash(grey).hash).tobytes(), "big")
    return PerceptualHash(bits, image.resize((_MOSAIC_SIDE, _MOSAIC_SIDE), PIL.Image.Resampling.BOX).tobytes())


def find_clusters(hashes: Sequence[PerceptualHash], bits: int) -> np.ndarray:
    """Groups images that are similar to each other, directly or through other images.

    Args:
      hashes: of the images.
      bits: by how many bits two hashes may differ.

    Returns:
      int64 [images]: for each image, the index of the first image of its cluster.
    """
    first_index: dict[PerceptualHash, int] = {}
    for index, one in enumerate(hashes):
        first_index.setdefault(one, index)
    distinct = np.array(list(first_index.values()), np.int64)
    clusters = distinct[_cluster_distinct(list(first_index), bits)]
    cluster_of = dict(zip(first_index, clusters.tolist(), strict=True))
    return np.array([cluster_of[one] for one in hashes], np.int64)


def _cluster_distinct(hashes: Sequence[PerceptualHash], bits: int) -> np.ndarray:
    words = np.array([one.bits for one in hashes], np.uint64)
    channels = _MOSAIC_SIDE**2 * 3
    mosaics = np.array([np.frombuffer(one.mosaic, np.uint8) for one in hashes], np.int16).reshape(-1, channels)
    links = [(np.zeros(0, np.int64),) * 2]
    # Two hashes that differ by at most `bits` bits agree in at least one of `bits + 1` bands.
    for band in np.array_split(np.arange(BITS, dtype=np.uint64), bits + 1):
        band_values = (words >> band[0]) & np.uint64(2 ** len(band) - 1)
        order = np.argsort(band_values, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(band_values[order]) != 0, True])
        for start, end in itertools.pairwise(starts):
            if end - start > 1:
                links.append(_find_links(order[start:end], words, mosaics, bits))
    one, other = (np.concatenate(ends) for ends in zip(*links, strict=True))
    return _first_of_component(one, other, len(hashes))


def _find_links(
    members: np.ndarray, words: np.ndarray, mosaics: np.ndarray, bits: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of similar images among the members; only as many as are needed to connect each cluster."""
    step = max(1, _PAIRS // len(members))
    one = other = np.zeros(0, np.int64)
    for start in range(0, len(members), step):
        some = members[start : start + step]
        near = np.bitwise_count(words[some, None] ^ words[None, members]) <= bits
        row, column = np.nonzero(near)
        left, right = some[row], members[column]
        left, right = left[left < right], right[left < right]
        similar = np.abs(mosaics[left] - mosaics[right]).mean(axis=1) <= _MAX_COLOUR_DIFFERENCE
        one, other = np.r_[one, left[similar]], np.r_[other, right[similar]]
        if len(one) > 2 * len(members):  # in a thousand frames of one scene, every pair is similar
            one, other = _reduce_links(np.sort(members), one, other)
    return one, other


def _reduce_links(members: np.ndarray, one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fewer links that connect the same clusters: one per image."""
    first = _first_of_component(np.searchsorted(members, one), np.searchsorted(members, other), len(members))
    return members[first], members


def _first_of_component(one: np.ndarray, other: np.ndarray, count: int) -> np.ndarray:
    graph = scipy.sparse.coo_matrix((np.ones(len(one), bool), (one, other)), shape=(count, count))
    _, component = scipy.sparse.csgraph.connected_components(graph, directed=False)
    _, first, inverse = np.unique(component, return_index=True, return_inverse=True)
    return first[inverse]
