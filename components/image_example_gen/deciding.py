"""What becomes of the images that were seen: examples in splits, duplicates, contradictions.

Only facts travel here, never images: what passes through a grouping is some hundred bytes an image.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam

from components.image_example_gen import resemblance, splitting
from components.image_example_gen.looking import Seen
from components.image_example_gen.settings import GROUP, IGNORE, Settings
from components.image_example_gen.splitting import Stratum

_EXAMPLE, _DUPLICATE, _CONFLICT, _PAIR = "example", "duplicate", "conflict", "pair"
_SHOWN = 20  # paths of a cluster

Member = tuple[str, str, str]  # of a cluster: key, unit, the split that the source names


class Decide(beam.PTransform):
    """Seen to what becomes of each, by name:

    `examples`: (split, Seen), one an example; `duplicates`, `near_duplicates`: rows of these reports; `conflicts`: rows
    `{"path", "kind", "with"}` of what contradicts itself.
    """

    def __init__(self, settings: Settings):
        super().__init__()
        self._settings = settings

    def expand(self, seen: beam.PCollection) -> dict[str, beam.PCollection]:
        settings = self._settings
        judged = (
            seen
            | "ByKey" >> beam.Map(lambda image: (image.key, image))
            | "SameBytes" >> beam.GroupByKey()
            | "Judge" >> beam.FlatMap(_judged).with_outputs(_EXAMPLE, _DUPLICATE, _CONFLICT, _PAIR)
        )
        examples, pairs = judged[_EXAMPLE], judged[_PAIR]
        similar = _clusters(examples, settings)
        if settings.near_duplicates == GROUP:
            pairs = (pairs, similar | "Units" >> beam.FlatMap(_units)) | "AllPairs" >> beam.Flatten()
        units = _together(examples, pairs)
        named = beam.pvalue.AsList(examples | "Named" >> beam.Map(lambda image: image.split) | beam.Distinct())
        split = _stratified(units, named, settings) if settings.stratified else _hashed(units, named, settings)
        straddling = units | "Straddling" >> beam.FlatMap(_straddling)
        return {
            "examples": split,
            "duplicates": judged[_DUPLICATE],
            "near_duplicates": _across_splits(split, similar),
            "conflicts": (judged[_CONFLICT], straddling) | "AllConflicts" >> beam.Flatten(),
        }


def _together(examples: beam.PCollection, pairs: beam.PCollection) -> beam.PCollection:
    """Units with their images; `pairs` of units are one."""
    joined = beam.pvalue.AsSingleton(pairs | "Pairs" >> beam.combiners.ToList() | "Join" >> beam.Map(splitting.joined))
    return (
        examples
        | "ByUnit" >> beam.Map(lambda image, joined: (_unit(image, joined), image), joined)
        | "Together" >> beam.GroupByKey()
    )


def _judged(group: tuple[str, Iterable[Seen]]) -> Iterator[Any]:
    """Images with the same bytes: one example, the others are its duplicates; or a contradiction."""
    images = sorted(group[1], key=lambda image: (image.path, image.place.uri))
    first, *others = images
    labels = {image.label for image in images}
    if len(labels) > 1:
        named = [f"{image.path} ({image.label})" for image in images]
        row = {"kind": "labels", "path": named[0], "with": named[1:]}
        yield beam.pvalue.TaggedOutput(_CONFLICT, row)
        return
    groups = sorted({image.group for image in images if image.group})
    split = splitting.strictest({image.split for image in images})
    example = first._replace(split=split, group=groups[0] if groups else "")
    yield beam.pvalue.TaggedOutput(_EXAMPLE, example)
    for other in others:
        yield beam.pvalue.TaggedOutput(_DUPLICATE, {"path": other.path, "same_as": first.path})
    for group_name in groups[1:]:
        pair = (_unit(example, {}), splitting.unit_of(first.key, group_name))
        yield beam.pvalue.TaggedOutput(_PAIR, pair)


def _unit(image: Seen, joined: Mapping[str, str]) -> str:
    unit = splitting.unit_of(image.key, image.group)
    return joined.get(unit, unit)


def _straddling(unit: tuple[str, Iterable[Seen]]) -> Iterator[dict[str, Any]]:
    """A group whose images the source itself puts into several splits."""
    by_group: dict[str, dict[str, str]] = {}
    for image in sorted(unit[1], key=lambda image: image.path):
        if image.group and image.split:
            by_group.setdefault(image.group, {}).setdefault(image.split, image.path)
    for group, splits in by_group.items():
        if len(splits) > 1:
            first, *others = splits.values()
            yield {"kind": f"group {group!r}", "path": first, "with": others}


def _hashed(units: beam.PCollection, named: beam.pvalue.AsList, settings: Settings) -> beam.PCollection:
    def chosen(unit: tuple[str, Iterable[Seen]], named: Collection[str]) -> Iterator[tuple[str, Seen]]:
        members = list(unit[1])
        shares = _shares(members, named, settings)
        split = splitting.split_of(unit[0], shares)
        return ((split, image) for image in members)

    return units | "Split" >> beam.FlatMap(chosen, named)


def _stratified(units: beam.PCollection, named: beam.pvalue.AsList, settings: Settings) -> beam.PCollection:
    """A unit counts for the class that most of its images have."""

    def stratum(unit: tuple[str, Iterable[Seen]], named: Collection[str]) -> tuple[str, Stratum]:
        members = list(unit[1])
        labels = sorted(image.label for image in members)
        shares = tuple(_shares(members, named, settings).items())
        return max(labels, key=labels.count), Stratum(unit[0], len(members), shares)

    splits = (
        units
        | "Stratum" >> beam.Map(stratum, named)
        | "ByClass" >> beam.GroupByKey()
        | "Stratify" >> beam.FlatMap(lambda of_class: splitting.stratified(list(of_class[1])).items())
    )
    return {"images": units, "split": splits} | "WithSplit" >> beam.CoGroupByKey() | "Assign" >> beam.FlatMap(_assigned)


def _assigned(unit: tuple[str, Mapping[str, list[Any]]]) -> Iterator[tuple[str, Seen]]:
    (members,), (split,) = unit[1]["images"], unit[1]["split"]
    return ((split, image) for image in members)


def _shares(members: Iterable[Seen], named: Collection[str], settings: Settings) -> dict[str, int]:
    split = splitting.strictest({image.split for image in members})
    return splitting.shares_for(split, named, settings.splits)


def _clusters(examples: beam.PCollection, settings: Settings) -> beam.PCollection:
    """Lists of (key, unit, named split) of images that resemble each other, two or more."""
    if settings.near_duplicates == IGNORE:
        return examples.pipeline | "NoLooks" >> beam.Create([])
    return (
        examples
        | "Looks"
        >> beam.FlatMap(
            lambda image: [(image.key, _unit(image, {}), image.split, image.facts.look)] if image.facts.look else []
        )
        | "AllLooks" >> beam.combiners.ToList()
        | "Resemble" >> beam.FlatMap(_resembling, settings.near_duplicate_bits)
    )


def _look(image: Seen) -> Iterator[tuple[str, str, str, resemblance.Look]]:
    if image.facts.look:
        yield image.key, _unit(image, {}), image.split, image.facts.look


def _resembling(looks: list[tuple[str, str, str, resemblance.Look]], bits: int) -> Iterator[list[Member]]:
    looks = sorted(looks, key=lambda one: one[0])
    clusters: dict[int, list[Member]] = {}
    for (*member, _), first in zip(looks, resemblance.clusters([one[-1] for one in looks], bits), strict=True):
        clusters.setdefault(int(first), []).append(tuple(member))  # type: ignore[arg-type]
    return (members for members in clusters.values() if len(members) > 1)


def _units(cluster: list[Member]) -> Iterator[tuple[str, str]]:
    """Pairs that are to stay together: of the images that the source names no split for; what it names is kept."""
    units = [unit for _, unit, named in cluster if not named]
    return ((units[0], unit) for unit in units[1:] if unit != units[0])


def _across_splits(split: beam.PCollection, similar: beam.PCollection) -> beam.PCollection:
    """Rows on clusters whose images stand in several splits."""
    clusters = similar | "Number" >> beam.FlatMap(lambda cluster: [(key, cluster[0][0]) for key, *_ in cluster])
    known = beam.pvalue.AsDict(clusters)

    def member(example: tuple[str, Seen], known: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, str, str]]]:
        name, image = example
        if image.key in known:
            yield known[image.key], (name, image.label, image.path)

    return (
        split
        | "InCluster" >> beam.FlatMap(member, known)
        | "Cluster" >> beam.GroupByKey()
        | "Across" >> beam.FlatMap(_row)
    )


def _row(cluster: tuple[str, Iterable[tuple[str, str, str]]]) -> Iterator[dict[str, Any]]:
    members = sorted(cluster[1])
    splits = sorted({split for split, _, _ in members})
    if len(splits) > 1:
        images = {split: sum(found == split for found, _, _ in members) for split in splits}
        # Some of each split, so that a person finds what resembles what.
        shown = {split: [path for found, _, path in members if found == split][:_SHOWN] for split in splits}
        labels = sorted({label for _, label, _ in members})
        yield {"path": members[0][2], "images": images, "labels": labels, "paths": shown}
