"""Where images come from: a tree of class folders, a manifest, or files of records."""

from __future__ import annotations

from typing import Protocol

from components.image_example_gen import settings as settings_
from components.image_example_gen.settings import Settings
from components.image_example_gen.sources import spans
from components.image_example_gen.sources.item import Item
from components.image_example_gen.sources.reading import Reader


class Source(Protocol):
    """A source whose path is known to be there."""

    path: str
    """What is read, with span and version filled in."""

    def items(self) -> list[Item]:
        """What there is to read, in an order that is the same each time.

        Raises:
          BadInputError: if it can't be worked with.
        """

    def classes(self) -> list[str] | None:
        """The classes' names, sorted; None if only reading all of it can tell."""

    def reader(self) -> Reader:
        """What reads its items; it can be pickled."""

    def state(self) -> str:
        """Changes whenever an image is added, removed, renamed, labelled anew or written to."""


def open_source(path: str, settings: Settings) -> Source:
    """The source that the settings describe.

    Args:
      path: `data.path`.
      settings: see there.

    Raises:
      BadInputError: if there is none, or it is of another kind.
    """
    # Each kind imports what it needs: TFDS's package is no small thing.
    resolved = spans.resolve(path, settings.span).path
    if settings.source == settings_.MANIFEST:
        from components.image_example_gen.sources.manifest import ManifestSource

        return ManifestSource(resolved, settings)
    if settings.source == settings_.TFRECORDS:
        from components.image_example_gen.sources.records import TFRecordSource

        return TFRecordSource(resolved, settings)
    if settings.source == settings_.TFDS:
        from components.image_example_gen.sources.tfds import TFDSSource

        return TFDSSource(resolved, settings)
    from components.image_example_gen.sources.folders import FolderSource

    return FolderSource(resolved, settings)
