"""Decides what becomes of each usable image: an example in a split, a duplicate, or a conflict.

Only facts about the images go through the shuffles here, some hundred bytes per image; never the images themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import apache_beam as beam

from components.image_example_gen import near_duplicates, splitting
from components.image_example_gen.inspection import InspectedImage
from components.image_example_gen.near_duplicates import PerceptualHash
from components.image_example_gen.splitting import ClassUnit
from config.data import SPLITS, IngestionConfig

_EXAMPLE, _DUPLICATE, _CONFLICT, _PAIR = "example", "duplicate", "conflict", "pair"
_SHOWN = 20  # paths per split and cluster in the report

Unit = tuple[str, Iterable[InspectedImage]]


class Member(NamedTuple):
    """An image in the search for near-duplicates.

    Attributes:
      key: of the image.
      unit: of the image, before units are merged.
      source_split: to which the source assigns it; may be empty.
      perceptual_hash: of the image.
    """

    key: str
    unit: str
    source_split: str
    perceptual_hash: PerceptualHash


class AssignSplits(beam.PTransform):
    """Turns InspectedImage into collections by name.

    `examples`: (split, InspectedImage), one per example. `duplicates`, `near_duplicates`: rows of these reports.
    `clusters`: rows like those of `near_duplicates`, one for each cluster.
    `conflicts`: rows `{"path", "kind", "with"}` of images that contradict each other.
    """

    def __init__(self, config: IngestionConfig):
        super().__init__()
        self._config = config

    def expand(self, images: beam.PCollection) -> dict[str, beam.PCollection]:
        config = self._config
        merged = (
            images
            | "WithKey" >> beam.Map(lambda image: (image.key, image))
            | "GroupByKey" >> beam.GroupByKey()
            | "MergeSameBytes" >> beam.FlatMap(_merge_same_bytes).with_outputs(_EXAMPLE, _DUPLICATE, _CONFLICT, _PAIR)
        )
        examples, pairs = merged[_EXAMPLE], merged[_PAIR]
        clusters = _find_clusters(examples, config)
        if config.near_duplicates == "group":
            pairs = (pairs, clusters | "PairUnits" >> beam.FlatMap(_pair_units)) | "AllPairs" >> beam.Flatten()
        units = _group_by_unit(examples, pairs)
        source_splits = beam.pvalue.AsList(
            examples | "SourceSplit" >> beam.Map(lambda image: image.split) | beam.Distinct()
        )
        assigned = _ASSIGN[config.stratified](units, source_splits, config)
        described = _describe_clusters(assigned, clusters)
        group_conflicts = units | "FindGroupConflicts" >> beam.FlatMap(_find_group_conflicts)
        return {
            "examples": assigned,
            "duplicates": merged[_DUPLICATE],
            "clusters": described,
            "near_duplicates": described | "Remarkable" >> beam.Filter(_is_remarkable),
            "conflicts": (merged[_CONFLICT], group_conflicts) | "AllConflicts" >> beam.Flatten(),
        }


def _merge_same_bytes(group: tuple[str, Iterable[InspectedImage]]) -> Iterator[Any]:
    """Turns images with the same bytes into one example and its duplicates, or into a conflict of labels or weights."""
    images = sorted(group[1], key=lambda image: (image.path, image.location.uri, image.line))
    first, *others = images
    for kind, values in (("labels", [image.label for image in images]), ("weights", [i.weight for i in images])):
        if len(set(values)) > 1:
            named = [_place(image, f"{value}") for image, value in zip(images, values, strict=True)]
            row = {"kind": kind, "path": named[0], "with": named[1:]}
            yield beam.pvalue.TaggedOutput(_CONFLICT, row)
            return
    groups = sorted({image.group for image in images if image.group})
    split = splitting.strictest_split({image.split for image in images})
    example = first._replace(split=split, group=groups[0] if groups else "")
    yield beam.pvalue.TaggedOutput(_EXAMPLE, example)
    named = splitting.strictest_first({image.split for image in images})
    in_splits = {"splits": named} if len(named) > 1 else {}
    for other in others:
        in_lines = {"line": other.line, "same_as_line": first.line} if other.line else {}
        duplicate: dict[str, Any] = {"path": other.path, "same_as": first.path, **in_lines, **in_splits}
        yield beam.pvalue.TaggedOutput(_DUPLICATE, duplicate)
    for group_name in groups[1:]:
        pair = (_unit_of(example, {}), splitting.unit_of(first.key, group_name))
        yield beam.pvalue.TaggedOutput(_PAIR, pair)


def _place(image: InspectedImage, value: str) -> str:
    """An image with what its source records of it, and the line of the table that does."""
    return f"{image.path} ({value}, line {image.line})" if image.line else f"{image.path} ({value})"


def _group_by_unit(examples: beam.PCollection, pairs: beam.PCollection) -> beam.PCollection:
    """Groups images by unit; the two units of each pair become one."""
    all_pairs = pairs | "PairsToList" >> beam.combiners.ToList()
    merged = beam.pvalue.AsSingleton(all_pairs | "MergeUnits" >> beam.Map(splitting.merge_units))
    return (
        examples
        | "WithUnit" >> beam.Map(lambda image, merged: (_unit_of(image, merged), image), merged)
        | "GroupByUnit" >> beam.GroupByKey()
    )


def _unit_of(image: InspectedImage, merged: Mapping[str, str]) -> str:
    unit = splitting.unit_of(image.key, image.group)
    return merged.get(unit, unit)


def _find_group_conflicts(unit: Unit) -> Iterator[dict[str, Any]]:
    """Rows on groups that the source itself puts into several splits."""
    by_group: dict[str, dict[str, str]] = {}
    for image in sorted(unit[1], key=lambda image: image.path):
        if image.group and image.split:
            by_group.setdefault(image.group, {}).setdefault(image.split, image.path)
    for group, splits in by_group.items():
        if len(splits) > 1:
            first, *others = splits.values()
            yield {"kind": f"group {group!r}", "path": first, "with": others}


def _assign_by_hash(
    units: beam.PCollection, source_splits: beam.pvalue.AsList, config: IngestionConfig
) -> beam.PCollection:
    def assign(unit: Unit, source_splits: Collection[str]) -> Iterator[tuple[str, InspectedImage]]:
        images = list(unit[1])
        split = splitting.split_of(unit[0], _shares_of(images, source_splits, config))
        return ((split, image) for image in images)

    return units | "AssignByHash" >> beam.FlatMap(assign, source_splits)


def _assign_by_hash_and_fill(
    units: beam.PCollection, source_splits: beam.pvalue.AsList, config: IngestionConfig
) -> beam.PCollection:
    """By hash; then each class gets units in the splits in which it has none. Only such classes are grouped."""

    def split_of(of_class: tuple[str, ClassUnit]) -> tuple[str, str]:
        name, unit = of_class
        return name, splitting.split_of(unit.unit, dict(unit.shares))

    def in_empty_splits(
        of_class: tuple[str, ClassUnit], found: Collection[tuple[str, str]]
    ) -> Iterator[tuple[str, ClassUnit]]:
        name, unit = of_class
        if len(unit.shares) > 1 and any((name, split) not in found for split, _ in unit.shares):
            yield of_class

    def fill(group: tuple[str, Iterable[ClassUnit]], found: Collection[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        empty = {split for split in SPLITS if (group[0], split) not in found}
        yield from splitting.fill_empty_splits(list(group[1]), empty).items()

    def assign(
        unit: Unit, source_splits: Collection[str], filled: Mapping[str, str]
    ) -> Iterator[tuple[str, InspectedImage]]:
        images = list(unit[1])
        split = filled.get(unit[0]) or splitting.split_of(unit[0], _shares_of(images, source_splits, config))
        return ((split, image) for image in images)

    class_units = units | "WithClass" >> beam.Map(_with_class, source_splits, config)
    found = beam.pvalue.AsList(class_units | "SplitOfClass" >> beam.Map(split_of) | "Occurring" >> beam.Distinct())
    filled = beam.pvalue.AsDict(
        class_units
        | "InEmptySplits" >> beam.FlatMap(in_empty_splits, found)
        | "GroupByClass" >> beam.GroupByKey()
        | "FillEmptySplits" >> beam.FlatMap(fill, found)
    )
    return units | "AssignByHash" >> beam.FlatMap(assign, source_splits, filled)


def _assign_stratified(
    units: beam.PCollection, source_splits: beam.pvalue.AsList, config: IngestionConfig
) -> beam.PCollection:
    splits = (
        units
        | "WithClass" >> beam.Map(_with_class, source_splits, config)
        | "GroupByClass" >> beam.GroupByKey()
        | "Stratify" >> beam.FlatMap(lambda group: splitting.stratify(list(group[1])).items())
    )
    joined = {"images": units, "split": splits} | "JoinSplits" >> beam.CoGroupByKey()
    return joined | "AssignStratified" >> beam.FlatMap(_with_split)


_ASSIGN = {"auto": _assign_by_hash_and_fill, False: _assign_by_hash, True: _assign_stratified}


def _with_class(unit: Unit, source_splits: Collection[str], config: IngestionConfig) -> tuple[str, ClassUnit]:
    """A unit counts for the class that most of its images have."""
    images = list(unit[1])
    labels = sorted(image.label for image in images)
    shares = tuple(_shares_of(images, source_splits, config).items())
    return max(labels, key=labels.count), ClassUnit(unit[0], len(images), shares)


def _with_split(unit: tuple[str, Mapping[str, list[Any]]]) -> Iterator[tuple[str, InspectedImage]]:
    (images,), (split,) = unit[1]["images"], unit[1]["split"]
    return ((split, image) for image in images)


def _shares_of(
    images: Iterable[InspectedImage], source_splits: Collection[str], config: IngestionConfig
) -> dict[str, int]:
    split = splitting.strictest_split({image.split for image in images})
    return splitting.allowed_shares(split, source_splits, config.splits.shares)


def _find_clusters(examples: beam.PCollection, config: IngestionConfig) -> beam.PCollection:
    """Lists of Member: two or more images that are similar to each other."""
    if config.near_duplicates == "ignore":
        return examples.pipeline | "NoClusters" >> beam.Create([])
    return (
        examples
        | "WithPerceptualHash" >> beam.FlatMap(_members)
        | "HashesToList" >> beam.combiners.ToList()
        | "FindClusters" >> beam.FlatMap(_cluster_members, config.near_duplicate_bits)
    )


def _members(image: InspectedImage) -> Iterator[Member]:
    """One member, or none for an image without a perceptual hash."""
    if image.facts.perceptual_hash:
        yield Member(image.key, _unit_of(image, {}), image.split, image.facts.perceptual_hash)


def _cluster_members(members: list[Member], bits: int) -> Iterator[list[Member]]:
    members = sorted(members, key=lambda member: member.key)
    clusters: dict[int, list[Member]] = {}
    first_indices = near_duplicates.find_clusters([member.perceptual_hash for member in members], bits)
    for member, first_index in zip(members, first_indices, strict=True):
        clusters.setdefault(int(first_index), []).append(member)
    return (cluster for cluster in clusters.values() if len(cluster) > 1)


def _pair_units(cluster: list[Member]) -> Iterator[tuple[str, str]]:
    """Pairs of units that must stay together. Images that the source assigns to a split stay there instead."""
    units = [member.unit for member in cluster if not member.source_split]
    return ((units[0], unit) for unit in units[1:] if unit != units[0])


def _describe_clusters(assigned: beam.PCollection, clusters: beam.PCollection) -> beam.PCollection:
    """One row for each cluster, see `report`."""
    cluster_names = clusters | "NameClusters" >> beam.FlatMap(
        lambda cluster: [(member.key, cluster[0].key) for member in cluster]
    )

    def with_cluster(
        example: tuple[str, InspectedImage], cluster_of: Mapping[str, str]
    ) -> Iterator[tuple[str, tuple[str, str, str]]]:
        split, image = example
        if image.key in cluster_of:
            yield cluster_of[image.key], (split, image.label, image.path)

    return (
        assigned
        | "WithCluster" >> beam.FlatMap(with_cluster, beam.pvalue.AsDict(cluster_names))
        | "GroupByCluster" >> beam.GroupByKey()
        | "DescribeClusters" >> beam.Map(_make_row)
    )


def _make_row(cluster: tuple[str, Iterable[tuple[str, str, str]]]) -> dict[str, Any]:
    members = sorted(cluster[1])
    images = Counter(split for split, _, _ in members)
    # Paths of every split and label, so that a person can compare the images.
    paths = {split: [path for other, _, path in members if other == split][:_SHOWN] for split in images}
    labels = Counter(sorted(label for _, label, _ in members))
    examples = {label: min(path for _, other, path in members if other == label) for label in labels}
    return {
        **{"path": members[0][2], "images": dict(images), "labels": list(labels), "paths": paths},
        **{"images_of_labels": dict(labels), "examples": examples},
    }


def _is_remarkable(row: dict[str, Any]) -> bool:
    """Whether images that look the same are in several splits, or have several labels."""
    return len(row["images"]) > 1 or len(row["labels"]) > 1
