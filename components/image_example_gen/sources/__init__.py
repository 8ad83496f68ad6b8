"""Where images come from: a folder with one subfolder per class, a manifest, or files of records."""

from __future__ import annotations

from typing import Protocol

from components.image_example_gen.sources import spans
from components.image_example_gen.sources.item import Findings, Item
from components.image_example_gen.sources.readers import Reader
from config.data import IngestionConfig


class Source(Protocol):
    """A source whose path exists."""

    path: str
    """What is read, with span and version filled in."""

    def items(self) -> list[Item]:
        """What the source contains, in an order that is the same each time.

        Raises:
          BadInputError: if the source cannot be used.
        """

    def classes(self) -> list[str] | None:
        """The class names, sorted; None if they are unknown before every record is read."""

    def reader(self) -> Reader:
        """Reads the items. It can be pickled."""

    def findings(self) -> Findings:
        """What a person should know about how the source was read."""

    def state(self) -> str:
        """Changes whenever an image is added, removed, renamed, relabelled or overwritten."""


def open_source(path: str, config: IngestionConfig) -> Source:
    """Opens the source that the configuration describes.

    Args:
      path: `data.path`.
      config: how the images are read.

    Raises:
      BadInputError: if it does not exist, or is of another kind.
    """
    # Imports are here because some kinds need a large package, such as TFDS.
    resolved = spans.resolve(path, config.span).path
    if config.source == "manifest":
        from components.image_example_gen.sources.manifest import ManifestSource

        return ManifestSource(resolved, config)
    if config.source == "tfrecords":
        from components.image_example_gen.sources.tfrecords import TFRecordSource

        return TFRecordSource(resolved, config)
    if config.source == "tfds":
        from components.image_example_gen.sources.tfds import TFDSSource

        return TFDSSource(resolved, config)
    from components.image_example_gen.sources.folders import FolderSource

    return FolderSource(resolved, config)
