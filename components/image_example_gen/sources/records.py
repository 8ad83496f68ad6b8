"""Files of records: TFRecords of tf.Example, as TFX, TFDS and others write them."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path

from components.image_example_gen.reasons import Reason
from components.image_example_gen.settings import Settings
from components.image_example_gen.sources import files, split_names
from components.image_example_gen.sources.item import Item
from components.image_example_gen.sources.reading import Reader, RecordReader
from modules.errors import BadInputError

_SPLIT_FOLDER = re.compile(r"Split-(\w+)")  # TFX's artifact Examples has one a split


class TFRecordSource:
    """A `sources.Source`: the files below a folder, or that a pattern matches."""

    def __init__(self, path: str, settings: Settings):
        """Notes what is to be listed.

        Raises:
          BadInputError: if it isn't said what the features are called.
        """
        self.path, self._settings = path, settings
        if missing := [role for role in ("image", "label") if role not in settings.fields]:
            raise BadInputError(
                f"data.fields: with source tfrecords, the names of the features {' and '.join(missing)} are needed. "
                f"Received: {dict(settings.fields)}"
            )

    def items(self) -> list[Item]:
        return [
            Item(path, file.uri, split=_split(path), size=file.size, records=True, refused=_refusal(file))
            for path, file in self._found.items()
        ]

    def classes(self) -> list[str] | None:
        return None if self._settings.classes is None else sorted(self._settings.classes)

    def reader(self) -> Reader:
        return RecordReader(self._settings.fields, self._settings.classes, self._settings.classes)

    def state(self) -> str:
        return files.digest(self._found)

    @cached_property
    def _found(self) -> dict[str, files.Found]:
        is_folder = Path(self.path).is_dir() or (files.is_remote(self.path) and "*" not in self.path)
        below = files.below(self.path, self._settings.outside_files) if is_folder else files.matching(self.path)
        found = {"/".join(file.parts): file for file in below}
        if not found:
            raise BadInputError(
                f"data.path: a folder with TFRecord files, or a pattern that matches some, is expected. "
                f"Received: {self.path!r}"
            )
        return dict(sorted(found.items()))


def _split(path: str) -> str:
    """The split that a file belongs to, if it stands in the folder of one, as TFX writes them."""
    for part in path.split("/")[:-1]:
        if match := _SPLIT_FOLDER.fullmatch(part):
            split = split_names.standard(match.group(1))
            if split is None:
                raise BadInputError(f"data.path: the folder {part!r} is of no split: {split_names.ALLOWED} are known")
            return split
    return ""


def _refusal(file: files.Found) -> tuple[Reason, str] | None:
    if file.problem:
        return Reason.UNREADABLE, file.problem
    return None if file.size else (Reason.UNREADABLE, "the file is empty")
