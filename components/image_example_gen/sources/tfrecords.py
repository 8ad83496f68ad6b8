"""Files of records: TFRecords of tf.Example, as TFX, TFDS and other tools write them."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path

from components.image_example_gen.quarantine import Reason, Rejection
from components.image_example_gen.sources import filesystem, layout, names
from components.image_example_gen.sources.filesystem import ListedFile, Listing
from components.image_example_gen.sources.item import Findings, Item
from components.image_example_gen.sources.readers import Reader, RecordReader
from config.data import IngestionConfig
from config.errors import BadInputError, listed
from config.section import is_uri

_NUMBER = re.compile(r"0|-?[1-9][0-9]*")
_SHOWN = 12  # names of files or folders in the findings
_SPLIT_FOLDER = re.compile(r"Split-(\w+)")  # TFX writes one such folder per split


class TFRecordSource:
    """A `sources.Source`: the files below a folder, or the files that match a pattern."""

    def __init__(self, path: str, config: IngestionConfig):
        self.path, self._config = path, config
        self._fields = dict[str, str](config.fields.items())

    def items(self) -> list[Item]:
        return [
            Item(
                path, file.uri, split=self._splits.get(path, ""), size=file.size, records=True, rejection=_reject(file)
            )
            for path, file in self._files.items()
        ]

    def classes(self) -> list[str] | None:
        return None if self._config.classes is None else sorted(self._config.classes)

    def reader(self) -> Reader:
        classes = self._config.classes
        are_numbers = classes is not None and all(_NUMBER.fullmatch(name) for name in classes)
        # 1 and "1" are the same label, so numbers name such classes; as indices they would name others.
        return RecordReader(self._fields, None if are_numbers else classes, classes)

    def state(self) -> str:
        return filesystem.digest_listing(self._files)

    def findings(self) -> Findings:
        named = {re.sub(r"\d+", "*", path): split for path, split in self._splits.items()}
        return Findings(self._listing.ignored_kinds, named if len(named) <= _SHOWN else {})

    @cached_property
    def _splits(self) -> dict[str, str]:
        """Path to split, of files that are assigned to one."""
        if by_tfx := {path: split for path in self._files if (split := _split_of(path))}:
            if others := [path for path in self._files if path not in by_tfx]:
                raise BadInputError(
                    f"data.path: {self.path!r} has files beside the folders Split-…, which name the splits: "
                    f"{listed(others)}; move them into these folders, or out of the data folder"
                )
            return by_tfx
        paths = [file.parts for file in self._files.values()]
        by_name = layout.splits_of_records(paths)
        if not by_name and "split" not in self._fields:  # otherwise, the records themselves say it
            layout.check_names_of_records(self.path, paths)
        return {path: by_name[file.parts] for path, file in self._files.items() if by_name}

    @cached_property
    def _listing(self) -> Listing:
        is_folder = Path(self.path).is_dir() or (is_uri(self.path) and "*" not in self.path)
        if is_folder:
            return filesystem.list_below(self.path, self._config.outside_files)
        return filesystem.list_matching(self.path)

    @cached_property
    def _files(self) -> dict[str, ListedFile]:
        if not self._listing.files:
            ignored = ", ".join(self._listing.ignored_kinds)
            raise BadInputError(
                f"data.path: a folder with TFRecord files, or a pattern that matches some, is expected. "
                f"Received: {self.path!r}" + (f", where these are ignored: {ignored}" if ignored else "")
            )
        return dict(sorted(("/".join(file.parts), file) for file in self._listing.files))


def _split_of(path: str) -> str:
    """The split of a file in a folder that is named as TFX names the folder of a split; otherwise empty."""
    for part in path.split("/")[:-1]:
        if match := _SPLIT_FOLDER.fullmatch(part):
            split = names.standard_split_name(match.group(1))
            if split is None:
                raise BadInputError(
                    f"data.path: the folder {part!r} names an unknown split; the names {names.KNOWN_SPLIT_NAMES} are "
                    "allowed"
                )
            return split
    return ""


def _reject(file: ListedFile) -> Rejection | None:
    if file.problem:
        return Rejection(Reason.UNREADABLE, file.problem)
    return None if file.size else Rejection(Reason.UNREADABLE, "the file is empty")
