"""A folder with one subfolder per class; images may be in folders below it. Folders of splits are recognized."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from components.image_example_gen.quarantine import Reason, Rejection
from components.image_example_gen.sources import clutter, filesystem, item_checks, layout, names
from components.image_example_gen.sources.filesystem import ListedFile, Listing
from components.image_example_gen.sources.item import Findings, Item
from components.image_example_gen.sources.layout import Layout
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
        if links := [file.parts[0] for file in self._listing.files if len(file.parts) == 1 and file.problem]:
            raise BadInputError(
                f"data.path: {self.path!r} contains links: {links}; set data.outside_files to true if class folders "
                "may be links, or remove them"
            )
        items = sorted(map(self._make_item, self._listing.files))
        classes = _classes_of(items)
        names.check_classes_have_images(classes, self._config.classes, item_checks.rejected(items))
        if len(classes) < 2:
            raise BadInputError(
                f"data.path: {self.path!r} needs two or more class folders with files{self._hint()}. "
                f"Found: {classes or 'none'}"
            )
        for name in classes:
            if problem := names.class_name_problem(name):
                raise BadInputError(
                    f"data.path: the name of class folder {name!r} in {self.path!r} {problem}; rename the folder"
                )
        if empty := self._empty_folders(classes):
            raise BadInputError(
                f"data.path: {self.path!r} has folders without any file: {empty}; add images or remove the folders"
            )
        return items

    def classes(self) -> list[str]:
        return _classes_of(self.items())

    def reader(self) -> Reader:
        return FileReader()

    def findings(self) -> Findings:
        paths = [file.parts for file in self._listing.files]
        return Findings(
            self._listing.ignored_kinds,
            self._layout.split_folders(paths),
            layout.common_inner_folders(paths, self._layout),
        )

    def state(self) -> str:
        self.items()
        return filesystem.digest_listing({"/".join(file.parts): file for file in self._listing.files})

    @cached_property
    def _listing(self) -> Listing:
        return filesystem.list_below(self.path, self._config.outside_files, self._config.classes or ())

    @cached_property
    def _layout(self) -> Layout:
        return layout.find(self.path, [file.parts for file in self._listing.files], self._config.classes)

    def _make_item(self, file: ListedFile) -> Item:
        path = "/".join(file.parts)
        if file.problem:
            return Item(path, "", rejection=Rejection(Reason.UNREADABLE, file.problem))
        if not (label := self._layout.label_of(file.parts)):
            return Item(path, file.uri, rejection=Rejection(Reason.NO_LABEL, "the file is in no class folder"))
        if self._config.classes is not None and label not in self._config.classes:
            return Item(path, file.uri, rejection=names.reject_label(label, self._config.classes))
        return Item(path, file.uri, label, self._layout.split_of(file.parts), size=file.size)

    def _hint(self) -> str:
        """Where the class folders may be, if one folder contains all others."""
        below = [file.parts[self._layout.class_at :] for file in self._listing.files]
        inner, folders = layout.inner_folders(below)
        if not inner:
            return ""
        if self._layout.split_at == 0:
            return f"; the folders {folders} are too deep: move them from {inner!r} into the folders of the splits"
        return f"; set data.path to the folder {inner!r} in it, if {folders} are the classes or splits"

    def _empty_folders(self, classes: list[str]) -> list[str]:
        """Folders of classes or splits without files, or with clutter alone."""
        in_splits = self._layout.split_at == 0
        depth = 2 if in_splits else 1
        used = {*classes, *(part for file in self._listing.files for part in file.parts[:-1][:depth])}
        if is_uri(self.path):  # an object store has no empty folders: they are only parts of names
            found = {path[:at] for path in self._listing.ignored for at in range(1, depth + 1) if len(path) > at}
        else:
            root = Path(self.path)
            children = [child for pattern in ("*", "*/*")[:depth] for child in root.glob(pattern)]
            folders = (child for child in children if child.is_dir() and not child.is_symlink())
            found = {child.relative_to(root).parts for child in folders}
        return sorted({path[-1] for path in found if self._must_have_files(path) and not _names(path[-1]) & used})

    def _must_have_files(self, path: tuple[str, ...]) -> bool:
        """Whether a folder is no clutter; beside folders of splits, other folders may be there without images."""
        if any(clutter.kind_of(name, is_folder=True) for name in path):
            return normalize_class_name(path[-1]) in (self._config.classes or ())
        return self._layout.split_at != 0 or layout.is_split(path[0])


def _names(name: str) -> set[str]:
    return {name, normalize_class_name(name)}


def _classes_of(items: list[Item]) -> list[str]:
    return sorted({item.label for item in items if item.label})
