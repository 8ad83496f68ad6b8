"""A folder with one subfolder per class; images may be in folders below it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from components.image_example_gen.quarantine import Reason, Rejection
from components.image_example_gen.sources import filesystem, item_checks, names
from components.image_example_gen.sources.filesystem import ListedFile
from components.image_example_gen.sources.item import Item
from components.image_example_gen.sources.readers import FileReader, Reader
from config.data import IngestionConfig
from config.errors import BadInputError
from config.section import is_uri, normalize_class_name


class FolderSource:
    """A `sources.Source`."""

    def __init__(self, path: str, config: IngestionConfig):
        """Checks that the folder exists.

        Raises:
          BadInputError: if it does not.
        """
        if not is_uri(path) and not Path(path).is_dir():
            found = "this is a file" if Path(path).exists() else "there is no such folder"
            raise BadInputError(
                f"data.path: a folder with one subfolder per class is expected; {found}. Received: {path!r}"
            )
        self.path, self._config = path, config

    def items(self) -> list[Item]:
        """See `sources.Source`; there must be two classes or more, and a file in every class folder."""
        return self._items

    @cached_property
    def _items(self) -> list[Item]:
        items = sorted(map(self._make_item, self._files))
        classes = _classes_of(items)
        if links := [file.parts[0] for file in self._files if len(file.parts) == 1 and file.problem]:
            raise BadInputError(
                f"data.path: {self.path!r} contains links: {links}; set data.outside_files to true if class folders "
                "may be links, or remove them"
            )
        names.check_classes_have_images(classes, self._config.classes, item_checks.rejected(items))
        if len(classes) < 2:
            raise BadInputError(
                f"data.path: {self.path!r} needs two or more class folders with files. Found: {classes or 'none'}"
            )
        for name in classes:
            if problem := names.class_name_problem(name):
                raise BadInputError(
                    f"data.path: the name of class folder {name!r} in {self.path!r} {problem}; rename the folder"
                )
        if empty := self._empty_folders(classes):
            raise BadInputError(
                f"data.path: {self.path!r} has class folders without any file: {empty}; add files or remove the folders"
            )
        return items

    def classes(self) -> list[str]:
        return _classes_of(self.items())

    def reader(self) -> Reader:
        return FileReader()

    def state(self) -> str:
        self.items()
        return filesystem.digest_listing({"/".join(file.parts): file for file in self._files})

    @cached_property
    def _files(self) -> list[ListedFile]:
        return list(filesystem.list_below(self.path, self._config.outside_files))

    def _make_item(self, file: ListedFile) -> Item:
        path = "/".join(file.parts)
        if len(file.parts) == 1 and not file.problem:
            return Item(path, file.uri, rejection=Rejection(Reason.NO_LABEL, "the file is in no class folder"))
        label = normalize_class_name(file.parts[0])
        if file.problem:
            return Item(path, "", rejection=Rejection(Reason.UNREADABLE, file.problem))
        if self._config.classes is not None and label not in self._config.classes:
            return Item(path, file.uri, rejection=names.reject_label(label, self._config.classes))
        return Item(path, file.uri, label, size=file.size)

    def _empty_folders(self, classes: list[str]) -> list[str]:
        """Class folders without files. An object store has none, because its folders are only parts of names."""
        if is_uri(self.path):
            return []
        folders = [child.name for child in Path(self.path).iterdir() if child.is_dir() and not child.is_symlink()]
        used = {*classes, *(file.parts[0] for file in self._files)}
        return sorted(
            name for name in folders if filesystem.is_data(name) and not {name, normalize_class_name(name)} & used
        )


def _classes_of(items: list[Item]) -> list[str]:
    return sorted({item.label for item in items if item.label})
