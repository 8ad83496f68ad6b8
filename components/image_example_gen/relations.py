"""Which images belong together: similar ones, and those of units that must be in the same split.

This is found in one place, from some hundred bytes per image.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import apache_beam as beam

from components.image_example_gen import near_duplicates, splitting
from components.image_example_gen.same_bytes import Facts, Member
from config.data import IngestionConfig

SOURCE_SPLITS = "source_splits"  # tag of the second output


class Relations(NamedTuple):
    """Only what is not alone is named here.

    Attributes:
      merged_units: unit to the unit that it has become part of.
      clusters: key of an image to the name of its cluster of similar images.
    """

    merged_units: Mapping[str, str]
    clusters: Mapping[str, str]


class FindRelations(beam.DoFn):
    """Turns ("", all Facts) into one Relations, and into the set of the splits that the source assigns."""

    def __init__(self, config: IngestionConfig):
        super().__init__()
        self._config = config

    def process(self, collected: tuple[str, Iterable[Facts]]) -> Iterator[Any]:
        facts = list(collected[1])
        members = [member for one in facts for member in one.members]
        clusters = _find_clusters(members, self._config.near_duplicate_bits)
        pairs = [pair for one in facts for pair in one.pairs]
        if self._config.near_duplicates == "group":
            pairs += [pair for cluster in clusters for pair in _pair_units(cluster)]
        names = {member.key: cluster[0].key for cluster in clusters for member in cluster}
        yield Relations(splitting.merge_units(pairs), names)
        yield beam.pvalue.TaggedOutput(SOURCE_SPLITS, frozenset[str]().union(*(one.source_splits for one in facts)))


def _find_clusters(members: list[Member], bits: int) -> list[list[Member]]:
    """Two or more images that are similar to each other, in the order of their keys."""
    if not members:
        return []
    members = sorted(members, key=lambda member: member.key)
    clusters: dict[int, list[Member]] = {}
    first_indices = near_duplicates.find_clusters([member.perceptual_hash for member in members], bits)
    for member, first_index in zip(members, first_indices, strict=True):
        clusters.setdefault(int(first_index), []).append(member)
    return [cluster for cluster in clusters.values() if len(cluster) > 1]


def _pair_units(cluster: Sequence[Member]) -> Iterator[tuple[str, str]]:
    """Pairs of units that must stay together. Images that the source assigns to a split stay there instead."""
    units = [member.unit for member in cluster if not member.source_split]
    return ((units[0], unit) for unit in units[1:] if unit != units[0])
