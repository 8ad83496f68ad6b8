"""A directory that TensorFlow Datasets has prepared, https://www.tensorflow.org/datasets/external_tfrecord."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from components.image_example_gen.sources import filesystem, names
from components.image_example_gen.sources.filesystem import ListedFile
from components.image_example_gen.sources.item import Findings, Item
from components.image_example_gen.sources.readers import Reader, RecordReader
from config.data import IngestionConfig
from config.errors import BadInputError, one_line

_DEFAULT_FIELDS = {"image": "image", "label": "label"}


class TFDSSource:
    """A `sources.Source`. The directory itself describes its splits, features and class names."""

    def __init__(self, path: str, config: IngestionConfig):
        """Reads the description.

        Raises:
          BadInputError: if there is none, or it does not describe TFRecords with the fields that are needed.
        """
        self.path, self._config = path, config
        self._fields: dict[str, str] = _DEFAULT_FIELDS | dict(config.fields)
        import tensorflow_datasets as tfds

        try:
            self._builder: Any = tfds.builder_from_directory(path)
        except Exception as error:  # its readers raise errors of many types
            raise BadInputError(
                f"data.path: a directory that TFDS has prepared (with dataset_info.json) is expected: {path}: "
                f"{one_line(error)}"
            ) from None
        info = self._builder.info
        if str(info.file_format.value) != "tfrecord":
            raise BadInputError(
                f"data.path: {path}: files of format tfrecord are needed; prepare the dataset in that format. "
                f"Found: {info.file_format.value}"
            )
        for role, name in self._fields.items():
            if name not in info.features:
                known = ", ".join(sorted(info.features))
                raise BadInputError(f"data.fields.{role}: the dataset has the features {known}. Received: {name!r}")

    def items(self) -> list[Item]:
        return sorted(
            Item(path, file.uri, split=split, size=file.size, records=True)
            for path, (split, file) in self._files.items()
        )

    def classes(self) -> list[str] | None:
        return None if self._class_names is None else sorted(set(self._config.classes or self._class_names))

    def findings(self) -> Findings:
        return Findings()

    def reader(self) -> Reader:
        return RecordReader(self._fields, self._class_names, self._config.classes)

    @cached_property
    def _class_names(self) -> list[str] | None:
        """The class names by index, in the dataset's order; None if labels are text."""
        class_names = getattr(self._builder.info.features[self._fields["label"]], "names", None)
        return list(class_names) if class_names else None

    def state(self) -> str:
        return filesystem.digest_listing({path: file for path, (_, file) in self._files.items()})

    @cached_property
    def _files(self) -> dict[str, tuple[str, ListedFile]]:
        """Path to split and file."""
        files = {}
        for name, split in self._builder.info.splits.items():
            standard_name = names.standard_split_name(name)
            if standard_name is None:
                raise BadInputError(
                    f"{self.path}: the dataset has an unknown split {name!r}; the names {names.KNOWN_SPLIT_NAMES} are "
                    "allowed"
                )
            for uri in map(str, split.filepaths):
                matching = filesystem.list_matching(uri).files
                if not matching:
                    raise BadInputError(
                        f"{self.path}: the file {uri} of split {name!r} is missing; prepare the dataset again"
                    )
                files[uri.removeprefix(self.path).lstrip("/")] = standard_name, matching[0]
        return files
