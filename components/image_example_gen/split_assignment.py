"""Decides what becomes of each usable image: an example in a split, a duplicate, or a conflict.

Only facts about the images go through the shuffles here, some hundred bytes per image; never the images themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import apache_beam as beam

from components.image_example_gen import bundle_summary, cluster_rows, report_writer, small_classes, splitting
from components.image_example_gen.inspection import InspectedImage
from components.image_example_gen.relations import SOURCE_SPLITS, FindRelations, Relations
from components.image_example_gen.report_writer import ROWS
from components.image_example_gen.same_bytes import FACTS, MergeSameBytes
from components.image_example_gen.splitting import ClassUnit
from config.data import IngestionConfig

_CLASS_UNITS, _SIZES, _CLUSTERED = "class_units", "sizes", "clustered"  # tags of outputs


class Related(NamedTuple):
    """An image with the name of its cluster of similar images; empty if it is in none."""

    image: InspectedImage
    cluster: str


class PlacedUnit(NamedTuple):
    """The images of a unit, and their split."""

    split: str
    images: Sequence[Related]


class Assigned(NamedTuple):
    """Collections.

    Attributes:
      examples: (split, InspectedImage), one per example.
      sizes: one mapping, split to number of examples; none if there are no examples.
      rows: of reports, (name of the report, row).
    """

    examples: beam.PCollection
    sizes: beam.PCollection
    rows: tuple[beam.PCollection, ...]


class AssignSplits(beam.PTransform):
    """Turns (key, InspectedImage) into Assigned."""

    def __init__(self, config: IngestionConfig):
        super().__init__()
        self._config = config

    def expand(self, images: beam.PCollection) -> Assigned:
        merged = (
            images
            | "GroupByKey" >> beam.GroupByKey()
            | "MergeSameBytes" >> beam.ParDo(MergeSameBytes()).with_outputs(FACTS, ROWS, main="examples")
        )
        found = (
            merged[FACTS]
            | "CollectFacts" >> beam.GroupByKey()
            | "FindRelations" >> beam.ParDo(FindRelations(self._config)).with_outputs(SOURCE_SPLITS, main="relations")
        )
        place = beam.ParDo(_PlaceUnits(self._config), beam.pvalue.AsSingleton(found[SOURCE_SPLITS], frozenset()))
        units = (
            merged["examples"]
            | "WithUnit" >> beam.Map(_with_unit, beam.pvalue.AsSingleton(found["relations"], Relations({}, {})))
            | "GroupByUnit" >> beam.GroupByKey()
            | "PlaceUnits" >> place.with_outputs(_CLASS_UNITS, ROWS, main="placed")
        )
        assigned = _ASSIGN[self._config.stratified](units["placed"], units[_CLASS_UNITS])
        sizes = assigned[_SIZES] | "CollectSizes" >> beam.GroupByKey() | "AddSizes" >> beam.Map(_add_sizes)
        clusters = (
            assigned[_CLUSTERED]
            | "GroupByCluster" >> beam.GroupByKey()
            | "DescribeClusters" >> beam.FlatMap(cluster_rows.describe).with_outputs(ROWS)
        )
        return Assigned(assigned["examples"], sizes, (merged[ROWS], units[ROWS], clusters[ROWS]))


def _with_unit(image: InspectedImage, relations: Relations) -> tuple[str, Related]:
    unit = splitting.unit_of(image.key, image.group)
    return relations.merged_units.get(unit, unit), Related(image, relations.clusters.get(image.key, ""))


class _PlaceUnits(beam.DoFn):
    """Turns (unit, its images) into (unit, PlacedUnit) as the unit's hash decides.

    Further outputs are (class, ClassUnit), and rows on groups that the source itself puts into several splits.
    """

    def __init__(self, config: IngestionConfig):
        super().__init__()
        self._shares = config.splits.shares

    def process(self, group: tuple[str, Iterable[Related]], source_splits: Collection[str]) -> Iterator[Any]:
        unit, members = group[0], list(group[1])
        images = [member.image for member in members]
        source_split = splitting.strictest_split({image.split for image in images})
        shares = splitting.allowed_shares(source_split, source_splits, self._shares)
        yield unit, PlacedUnit(splitting.split_of(unit, shares), members)
        class_unit = ClassUnit(unit, len(images), tuple(shares.items()))
        yield beam.pvalue.TaggedOutput(_CLASS_UNITS, (_class_of(images), class_unit))
        for row in _find_group_conflicts(images):
            yield report_writer.to(report_writer.CONFLICTS, row)


def _class_of(images: Iterable[InspectedImage]) -> str:
    """A unit counts for the class that most of its images have."""
    labels = sorted(image.label for image in images)
    return max(labels, key=labels.count)


def _find_group_conflicts(images: Iterable[InspectedImage]) -> Iterator[dict[str, Any]]:
    by_group: dict[str, dict[str, str]] = {}
    for image in sorted(images, key=lambda image: image.path):
        if image.group and image.split:
            by_group.setdefault(image.group, {}).setdefault(image.split, image.path)
    for group, splits in by_group.items():
        if len(splits) > 1:
            first, *others = splits.values()
            yield {"kind": f"group {group!r}", "path": first, "with": others}


def _assign_by_hash(placed: beam.PCollection, _: beam.PCollection) -> beam.pvalue.DoOutputsTuple:
    return placed | "Assign" >> _assign({})


def _assign_by_hash_and_fill(placed: beam.PCollection, class_units: beam.PCollection) -> beam.pvalue.DoOutputsTuple:
    """By hash; then each class gets units in the splits in which it has none."""
    filled = class_units | "FillEmptySplits" >> small_classes.FillEmptySplits()
    return placed | "Assign" >> _assign(beam.pvalue.AsDict(filled))


def _assign_stratified(placed: beam.PCollection, class_units: beam.PCollection) -> beam.pvalue.DoOutputsTuple:
    splits = (
        class_units
        | "GroupByClass" >> beam.GroupByKey()
        | "Stratify" >> beam.FlatMap(lambda group: splitting.stratify(list(group[1])).items())
    )
    joined = {"placed": placed, "split": splits} | "JoinSplits" >> beam.CoGroupByKey()
    return joined | "WithSplit" >> beam.Map(_with_split) | "Assign" >> _assign({})


_ASSIGN = {"auto": _assign_by_hash_and_fill, False: _assign_by_hash, True: _assign_stratified}


def _with_split(unit: tuple[str, Mapping[str, list[Any]]]) -> tuple[str, PlacedUnit]:
    (placed,), (split,) = unit[1]["placed"], unit[1]["split"]
    return unit[0], placed._replace(split=split)


def _assign(filled: Mapping[str, str] | beam.pvalue.AsDict) -> beam.PTransform:
    return beam.ParDo(_Assign(), filled).with_outputs(_SIZES, _CLUSTERED, main="examples")


class _Assign(beam.DoFn):
    """Turns (unit, PlacedUnit) into (split, InspectedImage), one per image; another split may be set for the unit.

    Further outputs are the number of examples per split, of each bundle, and the images that are in clusters.
    """

    def start_bundle(self) -> None:
        self._sizes: Counter[str] = Counter()

    def process(self, unit: tuple[str, PlacedUnit], filled: Mapping[str, str]) -> Iterator[Any]:
        split = filled.get(unit[0]) or unit[1].split
        self._sizes[split] += len(unit[1].images)
        for image, cluster in unit[1].images:
            yield split, image
            if cluster:
                yield beam.pvalue.TaggedOutput(_CLUSTERED, (cluster, (split, image.label, image.path)))

    def finish_bundle(self) -> Iterator[Any]:
        yield bundle_summary.output(_SIZES, ("", self._sizes))


def _add_sizes(sizes: tuple[str, Iterable[Counter[str]]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for of_bundle in sizes[1]:
        total.update(of_bundle)
    return dict(total)
