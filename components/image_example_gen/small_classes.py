"""Classes so small that the hashes of their units leave splits empty."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import apache_beam as beam

from components.image_example_gen import splitting
from components.image_example_gen.splitting import ClassUnit
from config.data import SPLITS

_Seen = tuple[set[str], list[ClassUnit]]  # the splits in which a class has units; its units that matter if one is empty


class FillEmptySplits(beam.PTransform):
    """Turns (class, ClassUnit) into (unit, split), only for units of classes with empty splits.

    The units of a class are dropped once it is known to be in every split, so large classes are never kept.
    """

    def expand(self, class_units: beam.PCollection) -> beam.PCollection:
        return class_units | "FindEmptySplits" >> beam.CombinePerKey(_FindEmptySplits()) | "Fill" >> beam.FlatMap(_fill)


class _FindEmptySplits(beam.CombineFn):
    """Combines the ClassUnits of a class to _Seen."""

    def create_accumulator(self) -> _Seen:
        return set(), []

    def add_input(self, seen: _Seen, unit: ClassUnit) -> _Seen:
        return _merge(seen, ({splitting.split_of(unit.unit, dict(unit.shares))}, [unit]))

    def merge_accumulators(self, accumulators: Iterable[_Seen]) -> _Seen:
        merged = self.create_accumulator()
        for seen in accumulators:
            merged = _merge(merged, seen)
        return merged

    def extract_output(self, seen: _Seen) -> _Seen:
        return seen


def _merge(seen: _Seen, other: _Seen) -> _Seen:
    """Adds the other to the first, and drops the units that no longer matter."""
    splits, units = seen
    if not other[0] <= splits:
        splits |= other[0]
        units = [unit for unit in units if _may_fill(unit, splits)]
    units.extend(unit for unit in other[1] if _may_fill(unit, splits))
    return splits, units


def _may_fill(unit: ClassUnit, splits: Collection[str]) -> bool:
    """Whether the unit may go to a split in which its class has no unit."""
    return len(unit.shares) > 1 and any(split not in splits for split, _ in unit.shares)


def _fill(of_class: tuple[str, _Seen]) -> Iterator[tuple[str, str]]:
    splits, units = of_class[1]
    if units:
        yield from splitting.fill_empty_splits(units, set(SPLITS) - splits).items()
