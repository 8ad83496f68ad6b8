"""The files below a data folder, each with the class that its top folder names."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from modules.errors import BadInputError

# What operating systems and archivers leave behind; no person means it as data.
_CLUTTER = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})


@dataclass(frozen=True, order=True)
class ListedFile:
    """One file of the tree.

    Attributes:
      path: below the data folder, `/` between folders.
      label: the top folder's name; empty for a file that stands in no class folder.
      linked_folder: a symbolic link to a folder, which is listed but not followed.
    """

    path: str
    label: str
    linked_folder: bool = False


def list_files(root: str) -> list[ListedFile]:
    """Lists every file below `root`, sorted; hidden files and operating-system clutter are left out.

    Raises:
      BadInputError: if `root` is no folder, holds fewer than two class folders, or a class name can't be one.
    """
    if not Path(root).is_dir():
        raise BadInputError(f"data.path: a folder with one subfolder a class is expected. Received: {root!r}")
    files = sorted(_walk(root))
    classes = class_names(files)
    if len(classes) < 2:
        raise BadInputError(
            f"data.path: {root!r} needs two class folders or more with files in them. Found: {classes or 'none'}"
        )
    for name in classes:
        _check_class_name(root, name)
    empty = sorted(
        child.name for child in Path(root).iterdir() if _is_class_folder(child) and child.name not in classes
    )
    if empty:
        raise BadInputError(f"data.path: {root!r} has class folders without any file: {empty}; fill or remove them")
    return files


def class_names(files: list[ListedFile]) -> list[str]:
    """The classes that files stand under, sorted."""
    return sorted({file.label for file in files if file.label})


def fingerprint(root: str, files: list[ListedFile]) -> str:
    """Changes whenever a file is added, removed, renamed, moved to another class or written to.

    Returns:
      SHA-256 over every path, size and time of last change, as hexadecimal digits.
    """
    digest = hashlib.sha256()
    for file in files:
        stat = os.lstat(os.path.join(root, file.path))
        digest.update(os.fsencode(f"{file.path}\0{stat.st_size}\0{stat.st_mtime_ns}\0"))
    return digest.hexdigest()


def _walk(root: str) -> Iterator[ListedFile]:
    for folder, subfolders, names in os.walk(root, onerror=_refuse):
        subfolders[:] = [name for name in subfolders if _is_data(name)]
        below = os.path.relpath(folder, root)
        parts = [] if below == os.curdir else below.split(os.sep)
        for name in filter(_is_data, names):
            yield ListedFile("/".join([*parts, name]), parts[0] if parts else "")
        for name in subfolders:
            if os.path.islink(os.path.join(folder, name)):
                yield ListedFile("/".join([*parts, name]), parts[0] if parts else "", linked_folder=True)


def _refuse(error: OSError) -> None:
    raise BadInputError(f"data.path: {error.filename!r} can't be listed: {error.strerror}")


def _is_class_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and _is_data(path.name)


def _is_data(name: str) -> bool:
    return not name.startswith(".") and name not in _CLUTTER


def _check_class_name(root: str, name: str) -> None:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise BadInputError(f"data.path: the name of class folder {name!r} in {root!r} is not UTF-8") from None
    if not name.isprintable():
        raise BadInputError(
            f"data.path: the name of class folder {name!r} in {root!r} has a character that can't print"
        )
