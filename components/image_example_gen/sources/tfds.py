"""A directory that TensorFlow Datasets has prepared, https://www.tensorflow.org/datasets/external_tfrecord."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from components.image_example_gen.settings import Settings
from components.image_example_gen.sources import files, split_names
from components.image_example_gen.sources.item import Item
from components.image_example_gen.sources.reading import Reader, RecordReader
from modules.errors import BadInputError

_DEFAULTS = {"image": "image", "label": "label"}


class TFDSSource:
    """A `sources.Source`: what the directory's own description says of splits, features and class names."""

    def __init__(self, path: str, settings: Settings):
        """Reads the description.

        Raises:
          BadInputError: if there is none, or it is of no image classification in TFRecords.
        """
        self.path, self._settings = path, settings
        self._fields = _DEFAULTS | dict(settings.fields)
        import tensorflow_datasets as tfds

        try:
            self._builder: Any = tfds.builder_from_directory(path)
        except Exception as error:  # whatever its many readers trip over
            raise BadInputError(
                f"data.path: a directory that TFDS has prepared (with dataset_info.json) is expected: {path}: {error}"
            ) from None
        info = self._builder.info
        if str(info.file_format.value) != "tfrecord":
            raise BadInputError(
                f"data.path: {path}: files of format tfrecord are needed. Found: {info.file_format.value}"
            )
        for role, name in self._fields.items():
            if name not in info.features:
                known = ", ".join(sorted(info.features))
                raise BadInputError(f"data.fields.{role}: the dataset has {known}. Received: {name!r}")

    def items(self) -> list[Item]:
        return sorted(
            Item(path, file.uri, split=split, size=file.size, records=True)
            for path, (split, file) in self._found.items()
        )

    def classes(self) -> list[str] | None:
        return None if self._names is None else sorted(set(self._settings.classes or self._names))

    def reader(self) -> Reader:
        return RecordReader(self._fields, self._names, self._settings.classes)

    @cached_property
    def _names(self) -> list[str] | None:
        """The class names by index, as the dataset has them; None if labels are text."""
        names = getattr(self._builder.info.features[self._fields["label"]], "names", None)
        return list(names) if names else None

    def state(self) -> str:
        return files.digest({path: file for path, (_, file) in self._found.items()})

    @cached_property
    def _found(self) -> dict[str, tuple[str, files.Found]]:
        """Path to split and file."""
        found = {}
        for name, split in self._builder.info.splits.items():
            standard = split_names.standard(name)
            if standard is None:
                raise BadInputError(f"{self.path}: split {name!r} is none of train, eval (validation) and test")
            for uri in map(str, split.filepaths):
                matching = files.matching(uri)
                if not matching:
                    raise BadInputError(f"{self.path}: split {name!r} lacks the file {uri}")
                found[uri.removeprefix(self.path).lstrip("/")] = standard, matching[0]
        return found
