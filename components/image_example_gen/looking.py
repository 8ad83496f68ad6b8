"""The first reading: every image is looked at, and either seen or refused."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import apache_beam as beam

from components import progress
from components.image_example_gen import inspection, threads
from components.image_example_gen.reasons import Reason, UnusableError
from components.image_example_gen.settings import IGNORE, Settings
from components.image_example_gen.sources import files
from components.image_example_gen.sources.item import Item
from components.image_example_gen.sources.reading import Place, RawImage, Reader

BATCH = 64  # items that a worker takes at a time
REFUSED = "refused"  # the other output's tag


class Seen(NamedTuple):
    """An image that can be an example; nothing of its pixels.

    Attributes:
      key: SHA-256 of the bytes as found, hexadecimal.
      path, label, split, group, weight: see `item.Item`.
      place: where the bytes can be had again.
      facts: of the image.
    """

    key: str
    path: str
    label: str
    split: str
    group: str
    weight: float
    place: Place
    facts: inspection.ImageFacts


class Refused(NamedTuple):
    """An image that can't be one."""

    path: str
    reason: Reason
    detail: str
    place: Place


class Look(beam.DoFn):
    """Batches of Item to Seen, or to Refused under its tag."""

    def __init__(self, reader: Reader, settings: Settings, scratch: str, tallies: str, total: int):
        """Notes how to read.

        Args:
          reader: of the source.
          settings: what an image has to be.
          scratch: see `Reader`.
          tallies: where the workers say how far they are.
          total: all there is to do, as `work` counts it.
        """
        self._reader, self._settings, self._scratch = reader, settings, scratch
        self._tallies, self._total = tallies, total

    def setup(self) -> None:
        self._tally = progress.Tally.of(self._tallies, self._total)
        self._pools = {count: ThreadPoolExecutor(count) for count in (threads.AT_ONCE, threads.AT_ONCE_REMOTE)}

    def teardown(self) -> None:
        for pool in self._pools.values():
            pool.shutdown()

    def process(self, batch: list[Item]) -> Iterator[Any]:
        remote = any(map(files.is_remote, (item.uri for item in batch)))
        count = threads.AT_ONCE_REMOTE if remote else threads.AT_ONCE
        single = [item for item in batch if not item.records]
        for found in threads.ordered(self._pools[count], self._of_file, single, count):
            yield from found
        for item in batch:
            if item.records:
                images = self._reader.images(item, self._scratch)
                yield from threads.ordered(self._pools[count], self._looked_at, images, count)
                self._tally.add(0, work(item))

    def _of_file(self, item: Item) -> list[Any]:
        found = [self._looked_at(image) for image in self._reader.images(item, self._scratch)]
        self._tally.add(0, work(item))
        return found

    def _looked_at(self, image: RawImage) -> Any:
        self._tally.add(1, 0)
        refused = image.refused
        if refused is None:
            try:
                facts = inspection.inspect(image.encoded, self._settings, self._settings.near_duplicates != IGNORE)
            except UnusableError as error:
                refused = (error.reason, error.detail)
        if refused is not None:
            return beam.pvalue.TaggedOutput(REFUSED, Refused(image.path, *refused, image.place))
        key = hashlib.sha256(image.encoded).hexdigest()
        return Seen(key, image.path, image.label, image.split, image.group, image.weight, image.place, facts)


def work(item: Item) -> int:
    """How much of all there is to do an item is: files of records by their bytes, others by number."""
    return item.size if item.records else 1
