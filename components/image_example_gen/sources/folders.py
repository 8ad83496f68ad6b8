"""A tree of images, one top folder a class."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from components.image_example_gen.reasons import Reason
from components.image_example_gen.settings import Settings
from components.image_example_gen.sources import class_names, files
from components.image_example_gen.sources.item import Item
from components.image_example_gen.sources.reading import FileReader, Reader
from modules.errors import BadInputError


class FolderSource:
    """A `sources.Source`."""

    def __init__(self, path: str, settings: Settings):
        """Notes what is to be listed.

        Raises:
          BadInputError: if there is no such folder.
        """
        if not files.is_remote(path) and not Path(path).is_dir():
            raise BadInputError(f"data.path: a folder with one subfolder a class is expected. Received: {path!r}")
        self.path, self._settings = path, settings

    def items(self) -> list[Item]:
        """See `sources.Source`; refuses fewer than two classes, and a class folder without any file."""
        return self._items

    @cached_property
    def _items(self) -> list[Item]:
        items = sorted(map(self._item, self._found))
        classes = _classes(items)
        if links := [file.parts[0] for file in self._found if len(file.parts) == 1 and file.problem]:
            raise BadInputError(
                f"data.path: in {self.path!r} these are links: {links}; class folders may be links with "
                "data.outside_files: true"
            )
        class_names.refuse_missing(classes, self._settings.classes)
        if len(classes) < 2:
            raise BadInputError(
                f"data.path: {self.path!r} needs two class folders or more with files in them. "
                f"Found: {classes or 'none'}"
            )
        for name in classes:
            if wrong := class_names.fault(name):
                raise BadInputError(f"data.path: the name of class folder {name!r} in {self.path!r} {wrong}")
        if empty := self._empty_folders(classes):
            raise BadInputError(
                f"data.path: {self.path!r} has class folders without any file: {empty}; fill or remove them"
            )
        return items

    def classes(self) -> list[str]:
        return _classes(self.items())

    def reader(self) -> Reader:
        return FileReader()

    def state(self) -> str:
        self.items()
        return files.digest({"/".join(file.parts): file for file in self._found})

    @cached_property
    def _found(self) -> list[files.Found]:
        return list(files.below(self.path, self._settings.outside_files))

    def _item(self, file: files.Found) -> Item:
        path = "/".join(file.parts)
        if len(file.parts) == 1 and not file.problem:
            return Item(path, file.uri, refused=(Reason.NO_LABEL, "stands in no class folder"))
        label = class_names.normalised(file.parts[0])
        if file.problem:
            return Item(path, "", refused=(Reason.UNREADABLE, file.problem))
        if self._settings.classes is not None and label not in self._settings.classes:
            return Item(path, file.uri, refused=class_names.refusal(label, self._settings.classes))
        return Item(path, file.uri, label, size=file.size)

    def _empty_folders(self, classes: list[str]) -> list[str]:
        """None on an object store, where a folder is but a part of a name."""
        if files.is_remote(self.path):
            return []
        folders = [child.name for child in Path(self.path).iterdir() if child.is_dir() and not child.is_symlink()]
        known = {*classes, *(file.parts[0] for file in self._found)}
        return sorted(
            name for name in folders if files.is_data(name) and not {name, class_names.normalised(name)} & known
        )


def _classes(items: list[Item]) -> list[str]:
    return sorted({item.label for item in items if item.label})
