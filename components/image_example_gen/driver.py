"""Makes the state of the data part of ImageExampleGen's cache key."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable

from tfx.orchestration.portable import data_types

from components import state_driver
from components.image_example_gen import sources
from components.image_example_gen.sources import filesystem
from components.image_example_gen.sources.item import Item
from config.data import IngestionConfig
from config.section import is_uri

_SAMPLED = 64  # files
_READ = 1 << 16  # bytes of each


class Driver(state_driver.StateDriver):
    """Prevents a cached result from being used after images have changed."""

    def state(self, execution_info: data_types.ExecutionInfo) -> str:
        properties = execution_info.exec_properties
        source = sources.open_source(properties["data_path"], IngestionConfig.parse(properties["ingestion"]))
        return f"{source.state()} {sample(source.items())}"


def sample(items: Iterable[Item]) -> str:
    """SHA-256 of the first bytes of some local files, hexadecimal.

    The path of the data does not count in the cache key. So two sets of images of the same names and sizes, whose times
    an archive has made equal, must differ in this.

    Args:
      items: of a source.
    """
    local = {item.path: item.uri for item in items if item.uri and not is_uri(item.uri)}
    digest = hashlib.sha256()
    for path in sorted(local, key=lambda path: hashlib.sha256(os.fsencode(path)).digest())[:_SAMPLED]:
        try:
            with filesystem.open_file(local[path]) as file:
                digest.update(os.fsencode(path) + b"\0" + file.read(_READ))
        except OSError:  # inspecting the image will report it
            continue
    return digest.hexdigest()
